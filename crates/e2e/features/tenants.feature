Feature: Nothing crosses from one tenant to another, or from one contact to another

  Background:
    Given the workflow test-workflow-2
    And its goal purchase_made {"min_amount": 100.00}
    And it is activated
    And test-contact-1 is enrolled

  @ruling-44
  Scenario: What happens to a contact of another tenant happens to another contact
    When another tenant takes over
    And payment.completed {"amount": 150} happens to test-contact-1
    And payment.completed {"amount": 150} happens to test-contact-1 over the bus
    And the first tenant takes over
    Then test-contact-1 stays
    And test-contact-1 has 0 achievements

  @ruling-44
  Scenario: Whose an event is, its credential says; an event that says otherwise is rejected
    When another tenant takes over
    And payment.completed {"amount": 150} is sent of test-contact-1 in the name of the first tenant
    Then the verdict is rejected tenant_mismatch
    When the first tenant takes over
    Then test-contact-1 stays

  @ruling-44
  Scenario: To another tenant it is as if it were not there
    When another tenant takes over
    Then nothing of test-contact-1 is there for it

  @ruling-39
  Scenario: Two contacts are never taken for one, whatever they share
    Given test-contact-2 is enrolled
    When payment.completed {"amount": 150} is sent of test-contact-2 with {"user_id": "same-browser", "session_id": "same-session"}
    And payment.completed {"amount": 50} is sent of test-contact-1 with {"user_id": "same-browser", "session_id": "same-session"}
    Then test-contact-2 leaves
    And test-contact-1 stays

  Scenario: A viewer looks on, and changes nothing
    When a viewer takes over
    Then goal 1 says {"goal_type": "purchase_made"}
    And a goal purchase_made {"any_purchase": true} is refused: 403 role_too_low
    And changing goal 1 to {"status": "inactive"} is refused: 403 role_too_low
    And activating it is refused: 403 role_too_low
    And enrolling test-contact-2 is refused: 403 role_too_low
    And it has 1 goal
