Feature: A workflow listens to what its goals need

  Background:
    Given the workflow test-workflow-3
    And its goal tag_added {"tag_name": "Customer"}
    And its goal purchase_made {"min_amount": 100.00}

  Scenario: Activation registers every type of event that the goals need
    Then it listens to nothing
    When it is activated
    Then it listens to contact.tag.added, payment.completed with 0 enrollments behind

  @ruling-36
  Scenario: Deactivation removes them, and nothing is processed any more
    Given it is activated
    And test-contact-1 is enrolled
    When it is deactivated
    Then it listens to nothing
    When contact.tag.added {"tag_name": "Customer"} happens to test-contact-1
    And payment.completed {"amount": 500.00} happens to test-contact-1
    Then test-contact-1 stays
    And test-contact-1 has 0 achievements

  Scenario: A goal that is added, switched off or deleted shows at once
    Given the form form-1
    And it is activated
    When its goal form_submitted {"form_id": "form-1"} is added
    Then it listens to contact.tag.added, form.submitted, payment.completed
    When goal 2 is deleted
    Then it listens to contact.tag.added, form.submitted
    When goal 1 is changed to {"status": "inactive"}
    Then it listens to form.submitted

  Scenario Outline: The contact's part ends when it leaves, for whatever reason
    Given it is activated
    And test-contact-1 is enrolled
    And test-contact-2 is enrolled
    Then it listens to contact.tag.added, payment.completed with 2 enrollments behind
    When test-contact-1 is ended as <status>
    Then it listens to contact.tag.added, payment.completed with 1 enrollment behind

    Examples:
      | status    |
      | completed |
      | removed   |
      | failed    |

  Scenario: The contact's part ends when it leaves by a goal
    Given it is activated
    And test-contact-1 is enrolled
    And test-contact-2 is enrolled
    When contact.tag.added {"tag_name": "Customer"} happens to test-contact-1
    Then test-contact-1 leaves
    And it listens to contact.tag.added, payment.completed with 1 enrollment behind

  @ruling-38
  Scenario: A listener does not run out
    Given it is activated
    And test-contact-1 is enrolled since 1999-01-01T00:00:00Z
    And test-contact-1 has pending wait
    When contact.tag.added {"tag_name": "Customer"} happens to test-contact-1 at now
    Then test-contact-1 leaves

  @ruling-21
  Scenario: A workflow without goals can be active, and nobody leaves it by one
    Given the workflow empty with {"goal_logic": "all"}
    And it is activated
    And test-contact-1 is enrolled
    When payment.completed {"amount": 500.00} happens to test-contact-1
    And it is rechecked
    Then it says {"status": "active"}
    And it listens to nothing
    And test-contact-1 stays
