Feature: An event meets a goal, and the contact leaves the workflow

  Background: Three contacts and three workflows, which look for a tag, a purchase, and both
    Given contacts with tags and a stage:
      | test-contact-1 | Prospect      | Lead        |
      | test-contact-2 | Customer      | Qualified   |
      | test-contact-3 | Prospect, VIP | Opportunity |
    And the workflow test-workflow-1
    And its goal tag_added {"tag_name": "Customer"}
    And it is activated
    And the workflow test-workflow-2
    And its goal purchase_made {"min_amount": 100.00}
    And it is activated
    And the workflow test-workflow-3
    And its goal tag_added {"tag_name": "Customer"}
    And its goal purchase_made {"min_amount": 100.00}
    And it is activated

  Scenario: The tag that is looked for
    Given test-contact-1 is enrolled in test-workflow-1 at step 3
    And test-contact-1 has pending send_email, wait
    When contact.tag.added {"tag_name": "Customer"} happens to test-contact-1
    Then test-contact-1 leaves
    And test-contact-1 has 1 achievement
    And test-contact-1 has achieved tag_added by {"tag_name": "Customer"}
    And the achievement of test-contact-1 says {"contact_id": "test-contact-1", "goal_type": "tag_added"}
    And the enrollment of test-contact-1 says {"status": "completed_goal", "current_step": 3}
    And the actions of test-contact-1 are:
      | send_email | cancelled |
      | wait       | cancelled |

  Scenario: Another tag
    Given test-contact-2 is enrolled in test-workflow-1 at step 3
    And test-contact-2 has pending send_email
    When contact.tag.added {"tag_name": "Prospect"} happens to test-contact-2
    Then test-contact-2 stays
    And test-contact-2 has 0 achievements
    And the actions of test-contact-2 are:
      | send_email | pending |

  @ruling-01
  Scenario Outline: A purchase of at least the amount
    Given test-contact-1 is enrolled in test-workflow-2
    When payment.completed {"amount": <amount>} happens to test-contact-1
    Then test-contact-1 <does>

    Examples:
      | amount                | does   |
      | 150.00                | leaves |
      | 100.01                | leaves |
      | 100.00                | leaves |
      | "100"                 | leaves |
      | 99.99                 | stays  |
      | 50.00                 | stays  |

  Scenario: Any purchase
    Given the workflow any-purchase
    And its goal purchase_made {"any_purchase": true}
    And it is activated
    And test-contact-3 is enrolled
    When payment.completed {"amount": 10.00} happens to test-contact-3
    Then test-contact-3 leaves

  Scenario: An appointment in the calendar that is looked for, and its details
    Given the calendar cal-456
    And the workflow booking
    And its goal appointment_booked {"calendar_id": "cal-456"}
    And it is activated
    And test-contact-1 is enrolled
    And test-contact-2 is enrolled
    When appointment.booked {"calendar_id": "cal-456", "appointment_id": "apt-1", "starts_at": "2026-02-01T09:00:00Z"} happens to test-contact-1
    And appointment.booked {"calendar_id": "cal-789", "appointment_id": "apt-2"} happens to test-contact-2
    Then test-contact-1 leaves
    And test-contact-1 has achieved appointment_booked by {"calendar_id": "cal-456", "appointment_id": "apt-1", "starts_at": "2026-02-01T09:00:00Z"}
    And test-contact-2 stays

  Scenario: The form that is looked for
    Given the form form-123
    And the form form-456
    And the workflow asking
    And its goal form_submitted {"form_ids": ["form-123", "form-456"]}
    And it is activated
    And test-contact-1 is enrolled
    And test-contact-2 is enrolled
    When form.submitted {"form_id": "form-456"} happens to test-contact-1
    And form.submitted {"form_id": "form-789"} happens to test-contact-2
    Then test-contact-1 leaves
    And test-contact-1 has achieved form_submitted by {"form_id": "form-456"}
    And test-contact-2 stays

  Scenario: The stage that is looked for
    Given the pipeline pipe-123
    And the stage stage-789 {"pipeline_id": "pipe-123", "position": 2}
    And the workflow selling
    And its goal pipeline_stage_reached {"pipeline_id": "pipe-123", "stage_id": "stage-789"}
    And it is activated
    And test-contact-1 is enrolled
    And test-contact-2 is enrolled
    When pipeline.stage.changed {"pipeline_id": "pipe-123", "stage_id": "stage-789"} happens to test-contact-1
    And pipeline.stage.changed {"pipeline_id": "pipe-123", "stage_id": "stage-1"} happens to test-contact-2
    Then test-contact-1 leaves
    And test-contact-1 has achieved pipeline_stage_reached by {"stage_id": "stage-789", "pipeline_id": "pipe-123"}
    And test-contact-2 stays

  Scenario: What another system tells on the bus counts as what comes over HTTP
    Given test-contact-1 is enrolled in test-workflow-1
    And test-contact-1 is enrolled in test-workflow-2
    When contact.tag.added {"tag_name": "Customer"} happens to test-contact-1 over the bus
    And payment.completed {"amount": 120.00} happens to test-contact-1 over the bus
    Then test-contact-1 leaves test-workflow-1
    And test-contact-1 leaves test-workflow-2

  @ruling-19
  Scenario: A contact in several workflows leaves each that its event meets
    Given test-contact-1 is enrolled in test-workflow-1
    And test-contact-1 is enrolled in test-workflow-2
    And test-contact-1 is enrolled in test-workflow-3
    When payment.completed {"amount": 100.00} happens to test-contact-1
    Then test-contact-1 stays in test-workflow-1
    And test-contact-1 leaves test-workflow-2
    And test-contact-1 leaves test-workflow-3

  Scenario: Nobody else leaves
    Given test-contact-1 is enrolled in test-workflow-3
    And test-contact-2 is enrolled in test-workflow-3
    And test-contact-3 is enrolled in test-workflow-3
    When payment.completed {"amount": 250.00} happens to test-contact-2
    Then test-contact-2 leaves
    And test-contact-1 stays
    And test-contact-3 stays
