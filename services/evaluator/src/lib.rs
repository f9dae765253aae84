//! Enrollments, scheduled actions, the match of events to goals, the exit.
