Feature: How the goals of a workflow do

  Background:
    Given the workflow test-workflow-2
    And its goal purchase_made {"min_amount": 100.00}
    And it is activated

  @ruling-40 @ruling-43
  Scenario: Two of five
    Given 5 members are enrolled
    When payment.completed {"amount": 150.00} happens to member-1
    And payment.completed {"amount": 100.00} happens to member-2
    And payment.completed {"amount": 99.00} happens to member-3
    Then the statistics say {"total_enrolled": 5, "goals_achieved": 2, "conversion_rate": 40.0}
    And the statistics say {"by_status": {"active": 3, "completed_goal": 2, "completed": 0, "removed": 0, "failed": 0}}

  @ruling-42
  Scenario: The time to the goal
    Given 5 members are enrolled
    When payment.completed {"amount": 150.00} happens to member-1 at 2026-01-03T00:00:00Z
    And payment.completed {"amount": 150.00} happens to member-2 at 2026-01-04T00:00:00Z
    Then the statistics say {"average_time_to_goal_hours": 60.0, "median_time_to_goal_hours": 60.0, "p90_time_to_goal_hours": 69.6, "p95_time_to_goal_hours": 70.8}
    And the statistics say {"by_goal": [{"achieved": 2, "conversion_rate": 40.0, "average_time_to_goal_hours": 60.0}]}
    And the statistics say {"by_goal_type": [{"goal_type": "purchase_made", "achieved": 2}]}
    And the statistics say {"by_day": [{"date": "2026-01-01", "enrolled": 5, "goals_achieved": 0}, {"date": "2026-01-03", "goals_achieved": 1}, {"date": "2026-01-04", "goals_achieved": 1}]}

  @ruling-40
  Scenario: Nobody enrolled, nobody converted
    Then the statistics say {"total_enrolled": 0, "goals_achieved": 0, "conversion_rate": 0.0, "average_time_to_goal_hours": null}

  @ruling-40
  Scenario: Half a tenth is rounded away from zero, and whoever left otherwise counts as enrolled
    Given 16 members are enrolled
    When payment.completed {"amount": 150.00} happens to member-1
    And member-2 is ended as removed
    Then the statistics say {"total_enrolled": 16, "goals_achieved": 1, "conversion_rate": 6.3}

  @ruling-41 @ruling-42
  Scenario: An enrollment with two achievements is one conversion, and its time is that of the last
    Given the workflow both with {"goal_logic": "all"}
    And its goal tag_added {"tag_name": "Customer"}
    And its goal purchase_made {"min_amount": 100.00}
    And it is activated
    And test-contact-1 is enrolled
    When payment.completed {"amount": 150.00} happens to test-contact-1 at 2026-01-04T00:00:00Z
    And contact.tag.added {"tag_name": "Customer"} happens to test-contact-1 at 2026-01-02T00:00:00Z
    Then test-contact-1 leaves
    And test-contact-1 has 2 achievements
    And the statistics say {"total_enrolled": 1, "goals_achieved": 1, "conversion_rate": 100.0, "average_time_to_goal_hours": 72.0}
    And the statistics say {"by_goal": [{"goal_type": "tag_added", "average_time_to_goal_hours": 24.0}, {"goal_type": "purchase_made", "average_time_to_goal_hours": 72.0}]}

  @ruling-41
  Scenario: An achievement without an exit is no conversion
    Given the workflow both with {"goal_logic": "all"}
    And its goal tag_added {"tag_name": "Customer"}
    And its goal purchase_made {"min_amount": 100.00}
    And it is activated
    And test-contact-1 is enrolled
    When contact.tag.added {"tag_name": "Customer"} happens to test-contact-1
    Then test-contact-1 stays
    And the statistics say {"total_enrolled": 1, "goals_achieved": 0, "conversion_rate": 0.0, "average_time_to_goal_hours": null}

  @ruling-43
  Scenario: Statistics are of a moment that they tell, and fresh if they are asked to be
    Given test-contact-1 is enrolled
    When the statistics are looked at
    And payment.completed {"amount": 150.00} happens to test-contact-1
    Then the statistics that were looked at are shown again
    And fresh statistics are of a later moment, and say {"total_enrolled": 1, "goals_achieved": 1}

  Scenario: Of a span of time, by when contacts were enrolled
    Given test-contact-1 is enrolled since 2026-01-01T00:00:00Z
    And test-contact-2 is enrolled since 2026-02-01T00:00:00Z
    And test-contact-3 is enrolled since 2026-03-01T00:00:00Z
    When payment.completed {"amount": 150.00} happens to test-contact-2 at 2026-04-01T00:00:00Z
    Then the statistics of from=2026-02-01T00:00:00Z&to=2026-03-01T00:00:00Z say {"total_enrolled": 1, "goals_achieved": 1, "conversion_rate": 100.0}
    And the statistics of to=2026-02-01T00:00:00Z say {"total_enrolled": 1, "goals_achieved": 0}
