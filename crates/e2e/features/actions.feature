Feature: A due action is told once, and only who may still act on it is told

  Background:
    Given the workflow test-workflow-1
    And its goal tag_added {"tag_name": "Customer"}
    And it is activated
    And test-contact-1 is enrolled

  Scenario: It is announced once, and an exit before its start fences it
    Given test-contact-1 has due send_email
    Then the send_email of test-contact-1 is announced
    And the actions of test-contact-1 are:
      | send_email | pending |
    When contact.tag.added {"tag_name": "Customer"} happens to test-contact-1
    Then test-contact-1 leaves
    And the exit of test-contact-1 says {"cancelled_actions": 1}
    And starting the send_email of test-contact-1 is refused: 409 enrollment_exited
    And the send_email of test-contact-1 is announced

  Scenario: Who is told starts it
    Given test-contact-1 has due send_email
    Then the send_email of test-contact-1 is announced
    When the send_email of test-contact-1 is started
    And the send_email of test-contact-1 is finished
    Then the actions of test-contact-1 are:
      | send_email | done |
    And the send_email of test-contact-1 is announced

  Scenario: The end of a wait is announced as well, what lies ahead is not
    Given test-contact-1 has due wait
    And test-contact-1 has pending send_sms
    Then the wait of test-contact-1 is announced
    And the send_sms of test-contact-1 is not announced

  Scenario Outline: While the workflow is not active it is held back
    When it is <changed>
    And test-contact-1 has due send_email, wait
    Then the send_email of test-contact-1 is not announced
    And starting the send_email of test-contact-1 is refused: 409 workflow_not_active
    When it is activated
    Then the send_email of test-contact-1 is announced
    And the wait of test-contact-1 is announced

    Examples:
      | changed     |
      | paused      |
      | deactivated |

  Scenario: Who leaves while it is held back is never told of it
    When it is paused
    And test-contact-1 has due send_email
    And contact.tag.added {"tag_name": "Customer"} happens to test-contact-1
    Then test-contact-1 leaves
    When it is activated
    Then the send_email of test-contact-1 is not announced
