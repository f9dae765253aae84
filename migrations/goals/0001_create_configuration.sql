-- All configuration of a tenant: workflows, goals, the reference directory, the audit log, the configuration epoch.
CREATE SCHEMA goals;
GRANT USAGE ON SCHEMA goals TO goalpost_goals, goalpost_goals_system, goalpost_evaluator, goalpost_evaluator_system,
    goalpost_analytics;
GRANT USAGE, CREATE ON SCHEMA goals TO goalpost_system_views;

CREATE TABLE goals.epochs (
    tenant_id text COLLATE "C" PRIMARY KEY REFERENCES platform.tenants,
    epoch bigint NOT NULL DEFAULT 1
) WITH (fillfactor = 50);
COMMENT ON TABLE goals.epochs IS 'Raised as the last statement of every configuration change of a tenant; an evaluator that sees it moved loads the configuration anew.';
SELECT platform.protect('goals.epochs', '{goalpost_goals,goalpost_owner}', '{goalpost_goals_system,goalpost_system_views}');
GRANT SELECT, UPDATE ON goals.epochs TO goalpost_goals;
GRANT SELECT, INSERT ON goals.epochs TO goalpost_goals_system;
GRANT SELECT ON goals.epochs TO goalpost_system_views;

CREATE TABLE goals.workflows (
    tenant_id text COLLATE "C" NOT NULL REFERENCES platform.tenants,
    id uuid NOT NULL,
    name text NOT NULL,
    status text NOT NULL DEFAULT 'draft' CHECK (status IN ('draft', 'active', 'paused', 'inactive')),
    goal_logic jsonb NOT NULL DEFAULT '"any"',
    allow_reentry boolean NOT NULL DEFAULT false,
    version integer NOT NULL DEFAULT 1,
    activated_at timestamptz,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id)
);
COMMENT ON TABLE goals.workflows IS 'Automations that contacts are enrolled in.';
COMMENT ON COLUMN goals.workflows.activated_at IS 'When it last became active from draft or inactive: since then its goals listen.';
CREATE INDEX workflows_created ON goals.workflows (tenant_id, created_at DESC, id DESC);
SELECT platform.protect('goals.workflows', '{goalpost_goals,goalpost_owner}', '{goalpost_system_views}');
GRANT SELECT, INSERT, UPDATE ON goals.workflows TO goalpost_goals;
GRANT SELECT ON goals.workflows TO goalpost_system_views;

CREATE TABLE goals.goals (
    tenant_id text COLLATE "C" NOT NULL,
    id uuid NOT NULL,
    workflow_id uuid NOT NULL,
    goal_type text NOT NULL CHECK (goal_type IN ('tag_added', 'purchase_made', 'appointment_booked', 'form_submitted',
                                                 'pipeline_stage_reached', 'custom_event')),
    event_name text COLLATE "C" NOT NULL,
    criteria jsonb NOT NULL,
    criteria_hash bytea NOT NULL,
    within_seconds bigint CHECK (within_seconds > 0),
    on_enroll text NOT NULL DEFAULT 'ignore' CHECK (on_enroll IN ('ignore', 'skip_enrollment', 'exit')),
    position smallint NOT NULL CHECK (position >= 1),
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'inactive')),
    version integer NOT NULL DEFAULT 1,
    effective_from timestamptz,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    deleted_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, workflow_id) REFERENCES goals.workflows (tenant_id, id)
);
COMMENT ON TABLE goals.goals IS 'Conditions on events that, once met, end an enrollment. Deletion is soft: achievements go on pointing here.';
COMMENT ON COLUMN goals.goals.criteria_hash IS 'SHA-256 of goal type and canonical criteria: two goals of one workflow may not mean the same.';
COMMENT ON COLUMN goals.goals.effective_from IS 'Events received before it count only for enrollments created after it. Null: every stored event counts (catch-up was asked for).';
CREATE UNIQUE INDEX goals_meaning ON goals.goals (tenant_id, workflow_id, criteria_hash) WHERE deleted_at IS NULL;
SELECT platform.protect('goals.goals', '{goalpost_goals,goalpost_owner}', '{goalpost_system_views}');
GRANT SELECT, INSERT, UPDATE ON goals.goals TO goalpost_goals;
GRANT SELECT ON goals.goals TO goalpost_system_views;

CREATE TABLE goals.directory (
    tenant_id text COLLATE "C" NOT NULL REFERENCES platform.tenants,
    kind text COLLATE "C" NOT NULL CHECK (kind IN ('tag', 'form', 'calendar', 'service', 'product', 'pipeline', 'stage')),
    ref_id text COLLATE "C" NOT NULL,
    name text,
    name_folded text COLLATE "C",
    pipeline_id text COLLATE "C",
    position integer,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, kind, ref_id),
    CHECK (kind = 'stage' OR (pipeline_id IS NULL AND position IS NULL))
);
COMMENT ON TABLE goals.directory IS 'What goals may point at, kept current by the modules that own those things.';
COMMENT ON COLUMN goals.directory.name_folded IS 'The name after trim, NFC and case folding: how tag names are compared.';
CREATE INDEX directory_name ON goals.directory (tenant_id, kind, name_folded);
CREATE INDEX directory_pipeline ON goals.directory (tenant_id, pipeline_id) WHERE pipeline_id IS NOT NULL;
SELECT platform.protect('goals.directory', '{goalpost_goals,goalpost_owner}', '{}');
GRANT SELECT, INSERT, UPDATE, DELETE ON goals.directory TO goalpost_goals;

CREATE TABLE goals.audit (
    tenant_id text COLLATE "C" NOT NULL REFERENCES platform.tenants,
    id bigint GENERATED ALWAYS AS IDENTITY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor text NOT NULL,
    action text NOT NULL,
    object_type text NOT NULL,
    object_id text NOT NULL,
    before jsonb,
    after jsonb,
    PRIMARY KEY (tenant_id, id)
);
COMMENT ON TABLE goals.audit IS 'Who changed what and when, with the object before and after. Append-only: no role of the service may change it.';
CREATE INDEX audit_object ON goals.audit (tenant_id, object_id, id DESC);
SELECT platform.protect('goals.audit', '{goalpost_goals,goalpost_owner}', '{goalpost_goals_system}');
GRANT SELECT, INSERT ON goals.audit TO goalpost_goals;
GRANT INSERT ON goals.audit TO goalpost_goals_system;

SELECT platform.create_outbox('goals', 'goalpost_goals', 'goalpost_goals_system');

-- Read across tenants by the evaluator, once per micro-batch: has anybody's configuration moved?
CREATE VIEW goals.v_epochs_v1 AS
SELECT e.tenant_id, e.epoch FROM goals.epochs e;
GRANT SELECT ON goals.v_epochs_v1 TO goalpost_evaluator_system;
ALTER VIEW goals.v_epochs_v1 OWNER TO goalpost_system_views;

-- What the gauge of active listeners counts, across tenants.
CREATE VIEW goals.v_listener_counts_v1 AS
SELECT w.tenant_id, count(*) AS listeners
FROM (SELECT DISTINCT g.tenant_id, g.workflow_id, g.event_name FROM goals.goals g
      WHERE g.deleted_at IS NULL AND g.status = 'active') l
JOIN goals.workflows w ON w.tenant_id = l.tenant_id AND w.id = l.workflow_id AND w.status IN ('active', 'paused')
GROUP BY w.tenant_id;
GRANT SELECT ON goals.v_listener_counts_v1 TO goalpost_goals_system;
ALTER VIEW goals.v_listener_counts_v1 OWNER TO goalpost_system_views;

-- The configuration of one tenant, as the evaluator loads it. Plain views that run as their owner.
CREATE VIEW goals.v_configuration_v1 AS
SELECT e.tenant_id, e.epoch, t.default_currency
FROM goals.epochs e JOIN platform.tenants t ON t.tenant_id = e.tenant_id;

CREATE VIEW goals.v_workflows_v1 AS
SELECT w.tenant_id, w.id AS workflow_id, w.name, w.status, w.goal_logic, w.allow_reentry, w.activated_at, w.created_at
FROM goals.workflows w;

CREATE VIEW goals.v_live_goals_v1 AS
SELECT w.tenant_id, w.id AS workflow_id, w.status AS workflow_status, w.goal_logic, g.id AS goal_id, g.goal_type, g.event_name,
       g.criteria, g.within_seconds, g.on_enroll, g.position, g.version, g.created_at, g.effective_from
FROM goals.workflows w JOIN goals.goals g ON g.tenant_id = w.tenant_id AND g.workflow_id = w.id
WHERE w.status IN ('active', 'paused') AND g.deleted_at IS NULL AND g.status = 'active';

CREATE VIEW goals.v_directory_v1 AS
SELECT d.tenant_id, d.kind, d.ref_id, d.name, d.name_folded, d.pipeline_id, d.position
FROM goals.directory d WHERE d.kind IN ('tag', 'stage');

GRANT SELECT ON goals.v_configuration_v1, goals.v_workflows_v1, goals.v_live_goals_v1, goals.v_directory_v1
    TO goalpost_evaluator;
-- The goals of a workflow, deleted ones included (achievements go on pointing at them), for statistics.
CREATE VIEW goals.v_goals_v1 AS
SELECT g.tenant_id, g.workflow_id, g.id AS goal_id, g.goal_type, g.position, g.status, g.created_at, g.deleted_at
FROM goals.goals g;
GRANT SELECT ON goals.v_workflows_v1, goals.v_goals_v1 TO goalpost_analytics;
CREATE INDEX goals_workflow ON goals.goals (tenant_id, workflow_id) WHERE deleted_at IS NULL;
CREATE INDEX workflows_live ON goals.workflows (tenant_id, id) WHERE status IN ('active', 'paused');
