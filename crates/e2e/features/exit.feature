Feature: The exit cancels what was to come, and is told once

  Background:
    Given the workflow test-workflow-1
    And its goal tag_added {"tag_name": "Customer"}
    And it is activated
    And test-contact-1 is enrolled

  Scenario: All pending actions are cancelled, and none runs afterwards
    Given test-contact-1 has pending send_email, send_sms, add_tag
    When contact.tag.added {"tag_name": "Customer"} happens to test-contact-1
    Then test-contact-1 leaves
    And the actions of test-contact-1 are:
      | send_email | cancelled |
      | send_sms   | cancelled |
      | add_tag    | cancelled |
    And starting the send_email of test-contact-1 is refused: 409 enrollment_exited
    And starting the send_sms of test-contact-1 is refused: 409 enrollment_exited
    And starting the add_tag of test-contact-1 is refused: 409 enrollment_exited
    And scheduling send_email for test-contact-1 is refused: 409 enrollment_exited
    And the exit of test-contact-1 says {"cancelled_actions": 3}

  @ruling-30
  Scenario: A wait of three days ends at once
    Given test-contact-1 has pending wait
    When contact.tag.added {"tag_name": "Customer"} happens to test-contact-1
    Then test-contact-1 leaves
    And the actions of test-contact-1 are:
      | wait | cancelled |

  @ruling-29
  Scenario: What runs already may finish, what would follow it does not begin
    Given test-contact-1 has pending send_email, send_sms
    And the send_email of test-contact-1 is started
    When contact.tag.added {"tag_name": "Customer"} happens to test-contact-1
    Then test-contact-1 leaves
    And starting the send_sms of test-contact-1 is refused: 409 enrollment_exited
    And scheduling send_sms for test-contact-1 is refused: 409 enrollment_exited
    When the send_email of test-contact-1 is finished
    Then the actions of test-contact-1 are:
      | send_email | done      |
      | send_sms   | cancelled |
    And the exit of test-contact-1 says {"cancelled_actions": 1}

  @ruling-32
  Scenario: The bus is told who left what, and why
    When contact.tag.added {"tag_name": "Customer"} happens to test-contact-1
    Then test-contact-1 leaves
    And the exit of test-contact-1 says {"contact_id": "test-contact-1", "exit_reason": "goal_achieved", "goal_type": "tag_added"}
    And the exit of test-contact-1 says {"trigger_event": {"tag_name": "Customer"}, "trigger_event_name": "contact.tag.added"}
    And the exit of test-contact-1 says {"achievements": [{"goal_type": "tag_added"}], "enrolled_at": "2026-01-01T00:00:00Z", "enrollment_version": 2}

  @ruling-32
  Scenario: However often the event comes, the exit is told once, under one id
    When contact.tag.added {"tag_name": "Customer"} happens to test-contact-1
    And the same event is sent again
    And the same event is sent again over the bus
    And it is rechecked
    Then test-contact-1 leaves
    And test-contact-1 has 1 achievement

  @ruling-31
  Scenario Outline: After another end an event has no effect
    Given test-contact-1 has pending send_email
    When test-contact-1 is ended as <status>
    And contact.tag.added {"tag_name": "Customer"} happens to test-contact-1
    Then the enrollment of test-contact-1 says {"status": "<status>", "exit_reason": "<status>"}
    And test-contact-1 has 0 achievements
    And nobody is told that test-contact-1 left by a goal
    And the actions of test-contact-1 are:
      | send_email | cancelled |
    And the statistics say {"total_enrolled": 1, "goals_achieved": 0}

    Examples:
      | status    |
      | completed |
      | removed   |
      | failed    |

  @ruling-31
  Scenario: After the exit a further event has no effect
    When contact.tag.added {"tag_name": "Customer"} happens to test-contact-1
    Then test-contact-1 leaves
    When contact.tag.added {"tag_name": "Customer"} happens to test-contact-1
    Then test-contact-1 leaves
    And test-contact-1 has 1 achievement

  @ruling-20
  Scenario: A contact is once in a workflow
    Then enrolling test-contact-1 is refused: 409 already_enrolled
    And test-contact-1 has 1 enrollment that is active

  @ruling-33
  Scenario: Who has left does not come in again where that is not allowed
    When contact.tag.added {"tag_name": "Customer"} happens to test-contact-1
    Then test-contact-1 leaves
    And enrolling test-contact-1 is refused: 409 reentry_not_allowed

  @ruling-33
  Scenario: Who comes in again has a new enrollment, for which only what happens from then on counts
    Given the workflow again-and-again with {"allow_reentry": true}
    And its goal purchase_made {"any_purchase": true}
    And it is activated
    And test-contact-1 is enrolled
    When payment.completed {"amount": 10} happens to test-contact-1
    Then test-contact-1 leaves
    When payment.completed {"amount": 20} happens to test-contact-1
    And test-contact-1 is enrolled
    Then test-contact-1 stays
    And enrolling test-contact-1 is refused: 409 already_enrolled
    When payment.completed {"amount": 30} happens to test-contact-1 at now
    Then test-contact-1 leaves
    And test-contact-1 has achieved purchase_made by {"amount": 30}
    And test-contact-1 has 2 enrollments that are completed_goal

  @ruling-45
  Scenario: Of the event, only what its type knows is kept, as it was written
    Given the workflow test-workflow-2
    And its goal purchase_made {"min_amount": 100.00}
    And it is activated
    And test-contact-1 is enrolled
    When payment.completed {"amount": 150.00, "currency": "USD", "note": "my street is", "card": {"holder": "me"}} happens to test-contact-1
    Then test-contact-1 leaves
    And test-contact-1 has achieved purchase_made by {"amount": 150.00, "currency": "USD"}
    And the exit of test-contact-1 says {"trigger_event": {"amount": 150.00, "currency": "USD"}}

  @ruling-45
  Scenario: Of an event of no known type, only what the goal looks at is kept
    Given the workflow courses
    And its goal custom_event {"event_name": "course.finished", "where": [{"property": "grade", "op": "gte", "value": 2}]}
    And it is activated
    And test-contact-1 is enrolled
    When course.finished {"grade": 2.5, "remark": "a private one"} happens to test-contact-1
    Then test-contact-1 leaves
    And test-contact-1 has achieved custom_event by {"grade": 2.5}

  @ruling-45
  Scenario: Of the event, at most 8 KiB are kept
    Given a tenant with {"max_properties_bytes": 32768}
    And the workflow courses
    And its goal custom_event {"event_name": "course.finished", "where": [{"property": "grade", "op": "gte", "value": 2}, {"property": "essay", "op": "exists", "value": true}]}
    And it is activated
    And test-contact-1 is enrolled
    And test-contact-2 is enrolled
    When course.finished {"grade": 3} with essay of 8000 characters happens to test-contact-1
    And course.finished {"grade": 3} with essay of 9000 characters happens to test-contact-2
    Then test-contact-1 leaves
    And the achievement of test-contact-1 says {"trigger_event": {"grade": 3}}
    And test-contact-2 leaves
    And test-contact-2 has achieved custom_event by {"grade": 3}
