-- Enrollments, what is scheduled for them, and the goals they reached.
CREATE SCHEMA evaluator;
GRANT USAGE ON SCHEMA evaluator TO goalpost_evaluator, goalpost_evaluator_system, goalpost_goals, goalpost_analytics;

CREATE TABLE evaluator.enrollments (
    tenant_id text COLLATE "C" NOT NULL,
    id uuid NOT NULL,
    workflow_id uuid NOT NULL,
    contact_id text COLLATE "C" NOT NULL,
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'completed_goal', 'completed', 'removed', 'failed')),
    version integer NOT NULL DEFAULT 1,
    enrolled_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    exited_at timestamptz,
    goal_reached_at timestamptz,
    exit_reason text CHECK (exit_reason IN ('goal_achieved', 'already_satisfied', 'completed', 'removed', 'failed', 'contact_erased')),
    reason text,
    current_step jsonb,
    PRIMARY KEY (tenant_id, id),
    CHECK ((status = 'active') = (exited_at IS NULL)),
    CHECK ((status = 'active') = (exit_reason IS NULL)),
    CHECK ((status = 'completed_goal') = (goal_reached_at IS NOT NULL))
) WITH (fillfactor = 85);
COMMENT ON TABLE evaluator.enrollments IS 'One contact''s one passage through one workflow.';
COMMENT ON COLUMN evaluator.enrollments.created_at IS 'When the enrollment was made here; enrolled_at may lie in the past.';
COMMENT ON COLUMN evaluator.enrollments.exited_at IS 'The commit that ended it (database clock).';
COMMENT ON COLUMN evaluator.enrollments.goal_reached_at IS 'The latest achieved_at of the set of achievements that completed the exit.';
COMMENT ON COLUMN evaluator.enrollments.reason IS 'What the caller that ended it gave as its reason.';
CREATE UNIQUE INDEX enrollments_active ON evaluator.enrollments (tenant_id, workflow_id, contact_id) WHERE status = 'active';
CREATE INDEX enrollments_contact ON evaluator.enrollments (tenant_id, contact_id, workflow_id);
CREATE INDEX enrollments_workflow ON evaluator.enrollments (tenant_id, workflow_id, created_at DESC, id DESC);
SELECT platform.protect('evaluator.enrollments', '{goalpost_evaluator,goalpost_owner}', '{}');
GRANT SELECT, INSERT, UPDATE ON evaluator.enrollments TO goalpost_evaluator;

CREATE TABLE evaluator.scheduled_actions (
    tenant_id text COLLATE "C" NOT NULL,
    id uuid NOT NULL,
    enrollment_id uuid NOT NULL,
    action_type text NOT NULL,
    status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'running', 'done', 'failed', 'cancelled')),
    scheduled_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    started_at timestamptz,
    finished_at timestamptz,
    cancelled_at timestamptz,
    payload jsonb,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, enrollment_id) REFERENCES evaluator.enrollments (tenant_id, id)
);
COMMENT ON TABLE evaluator.scheduled_actions IS 'What a workflow will do later for an enrollment; a wait step is one of them.';
CREATE INDEX scheduled_actions_enrollment ON evaluator.scheduled_actions (tenant_id, enrollment_id, created_at, id);
SELECT platform.protect('evaluator.scheduled_actions', '{goalpost_evaluator,goalpost_owner}', '{}');
GRANT SELECT, INSERT, UPDATE ON evaluator.scheduled_actions TO goalpost_evaluator;

CREATE TABLE evaluator.workflow_goal_achievements (
    tenant_id text COLLATE "C" NOT NULL,
    id uuid NOT NULL,
    workflow_id uuid NOT NULL,
    enrollment_id uuid NOT NULL,
    contact_id text COLLATE "C" NOT NULL,
    goal_id uuid NOT NULL,
    goal_type text NOT NULL,
    goal_version integer NOT NULL,
    event_id uuid NOT NULL,
    event_name text COLLATE "C" NOT NULL,
    achieved_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    criteria jsonb NOT NULL,
    trigger_event jsonb NOT NULL,
    metadata jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, enrollment_id, goal_id),
    FOREIGN KEY (tenant_id, enrollment_id) REFERENCES evaluator.enrollments (tenant_id, id)
);
COMMENT ON TABLE evaluator.workflow_goal_achievements IS 'The record that one enrollment met one goal, with the criteria of that moment and the event that met them.';
COMMENT ON COLUMN evaluator.workflow_goal_achievements.achieved_at IS 'The time of the event (event_time); recorded_at is the commit.';
CREATE INDEX achievements_workflow ON evaluator.workflow_goal_achievements (tenant_id, workflow_id, achieved_at DESC, id DESC);
CREATE INDEX achievements_contact ON evaluator.workflow_goal_achievements (tenant_id, contact_id, achieved_at DESC);
CREATE INDEX achievements_date ON evaluator.workflow_goal_achievements (tenant_id, achieved_at DESC);
SELECT platform.protect('evaluator.workflow_goal_achievements', '{goalpost_evaluator,goalpost_owner}', '{}');
GRANT SELECT, INSERT ON evaluator.workflow_goal_achievements TO goalpost_evaluator;

SELECT platform.create_outbox('evaluator', 'goalpost_evaluator', 'goalpost_evaluator_system');

-- For statistics and for listeners. Plain views that run as their owner, kept to the tenant by the owner's policies.
CREATE VIEW evaluator.v_enrollments_v1 AS
SELECT e.tenant_id, e.id AS enrollment_id, e.workflow_id, e.contact_id, e.status, e.enrolled_at, e.exited_at, e.goal_reached_at,
       e.exit_reason
FROM evaluator.enrollments e;

CREATE VIEW evaluator.v_achievements_v1 AS
SELECT a.tenant_id, a.id AS achievement_id, a.workflow_id, a.enrollment_id, a.goal_id, a.goal_type, a.event_name, a.achieved_at,
       a.recorded_at
FROM evaluator.workflow_goal_achievements a;

GRANT SELECT ON evaluator.v_enrollments_v1, evaluator.v_achievements_v1 TO goalpost_goals, goalpost_analytics;
