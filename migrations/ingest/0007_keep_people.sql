-- Users who are linked to contacts, and people who are forgotten.

CREATE TABLE ingest.identity_links (
    tenant_id text COLLATE "C" NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    linked_at timestamptz NOT NULL,
    contact_id text COLLATE "C" NOT NULL,
    linked_by text NOT NULL,
    unlinked_at timestamptz,
    unlinked_by text,
    PRIMARY KEY (tenant_id, user_id, linked_at),
    CHECK ((unlinked_at IS NULL) = (unlinked_by IS NULL))
);
COMMENT ON TABLE ingest.identity_links IS 'Which anonymous user was which contact, from when to when, and who said so. Events that are stored meanwhile carry the contact.';
CREATE UNIQUE INDEX identity_links_live ON ingest.identity_links (tenant_id, user_id) WHERE unlinked_at IS NULL;
CREATE INDEX identity_links_contact ON ingest.identity_links (tenant_id, contact_id);
SELECT platform.protect('ingest.identity_links', '{goalpost_ingest,goalpost_owner}', '{goalpost_ingest_system}');
GRANT SELECT, INSERT, DELETE, UPDATE (unlinked_at, unlinked_by) ON ingest.identity_links TO goalpost_ingest;
-- The committer looks the users of its events up, of whichever tenants they are.
GRANT SELECT ON ingest.identity_links TO goalpost_ingest_system;

CREATE TABLE ingest.erasures (
    tenant_id text COLLATE "C" NOT NULL,
    request_id uuid NOT NULL,
    subject_hash bytea NOT NULL CHECK (length(subject_hash) = 32),
    requested_by text NOT NULL,
    requested_at timestamptz NOT NULL,
    done_at timestamptz,
    PRIMARY KEY (tenant_id, request_id)
);
COMMENT ON TABLE ingest.erasures IS 'Who asked when that somebody be forgotten. Not who was: that would be remembering.';
COMMENT ON COLUMN ingest.erasures.subject_hash IS 'HMAC-SHA-256 of the id that was given, under the tenant''s salt: whoever knows the id can ask whether it was erased.';
COMMENT ON COLUMN ingest.erasures.done_at IS 'When the last service had reported.';
SELECT platform.protect('ingest.erasures', '{goalpost_ingest,goalpost_owner}', '{}');
GRANT SELECT, INSERT, UPDATE (done_at) ON ingest.erasures TO goalpost_ingest;

CREATE TABLE ingest.erasure_reports (
    tenant_id text COLLATE "C" NOT NULL,
    request_id uuid NOT NULL,
    service text COLLATE "C" NOT NULL,
    erased_at timestamptz NOT NULL,
    counts jsonb NOT NULL,
    PRIMARY KEY (tenant_id, request_id, service),
    FOREIGN KEY (tenant_id, request_id) REFERENCES ingest.erasures (tenant_id, request_id)
);
COMMENT ON TABLE ingest.erasure_reports IS 'What each service removed or made anonymous, as it told in subject.erased: rows by table.';
SELECT platform.protect('ingest.erasure_reports', '{goalpost_ingest,goalpost_owner}', '{}');
GRANT SELECT, INSERT ON ingest.erasure_reports TO goalpost_ingest;

-- What requests and commands were answered.
SELECT platform.create_answers('ingest', 'goalpost_ingest', '{}');

-- The events of a person are deleted, within one tenant. A user's are found as a contact's are; events that name no user are in
-- no index of users.
SET LOCAL ROLE goalpost_partitions;
GRANT DELETE ON ingest.events_raw TO goalpost_ingest;
CREATE INDEX events_raw_user ON ingest.events_raw (tenant_id, user_id) WHERE user_id IS NOT NULL;
SET LOCAL ROLE goalpost_owner;
