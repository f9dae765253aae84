Feature: Who speaks over the bus is answered there, and asks as often as it likes

  Scenario: A contact is enrolled by a command, once, and whoever asked is told
    Given the workflow test-workflow-1 with {"allow_reentry": true}
    And its goal tag_added {"tag_name": "Customer"}
    And it is activated
    When enroll {"contact_id": "test-contact-1", "enrolled_at": "2026-01-01T00:00:00Z", "current_step": "3"} is asked over the bus
    Then the reply is done: {"contact_id": "test-contact-1", "status": "active", "current_step": "3"}
    When the same is asked again
    Then the reply is the same
    And test-contact-1 has 1 enrollment that is active
    When contact.tag.added {"tag_name": "Customer"} happens to test-contact-1
    Then test-contact-1 leaves
    When the same is asked again
    Then the reply is the same
    And test-contact-1 has 0 enrollments that are active
    When enroll {"contact_id": "test-contact-1"} is asked over the bus
    Then the reply is done: {"contact_id": "test-contact-1", "status": "active"}
    When enroll {"contact_id": "test-contact-1"} is asked over the bus
    Then the reply is refused: already_enrolled

  Scenario: The module that owns a tag keeps it current, and a goal may point at it
    When put_reference {"kind": "tag", "id": "t-1", "name": "Customer"} is asked over the bus
    Then the reply is done: {"kind": "tag", "id": "t-1", "name": "Customer"}
    Given the workflow test-workflow-1
    And its goal tag_added {"tag_id": "t-1"}
    And it is activated
    And test-contact-1 is enrolled
    When contact.tag.added {"tag_name": "Customer"} happens to test-contact-1
    Then test-contact-1 leaves
    When delete_reference {"kind": "tag", "id": "t-2"} is asked over the bus
    Then the reply is refused: not_found
