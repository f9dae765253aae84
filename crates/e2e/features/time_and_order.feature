Feature: When an event counts

  Background:
    Given the workflow test-workflow-2
    And its goal purchase_made {"min_amount": 100.00}
    And it is activated

  @ruling-22
  Scenario Outline: From the enrollment on, whenever it arrives
    Given test-contact-1 is enrolled since 2026-01-01T00:00:00Z
    When payment.completed {"amount": 150} happens to test-contact-1 at <at>
    Then test-contact-1 <does>

    Examples:
      | at                       | does   |
      | 2025-12-31T23:59:59.999Z | stays  |
      | 2026-01-01T00:00:00Z     | leaves |
      | 2026-01-01T01:00:00+01:00 | leaves |
      | 2026-01-01T00:30:00+01:00 | stays |

  @ruling-23
  Scenario: What is stored before the enrollment is known, and lies after its beginning, is caught up on
    When payment.completed {"amount": 150} happens to test-contact-1 at 2026-01-05T00:00:00Z
    And the services are at rest
    And test-contact-1 is enrolled since 2026-01-01T00:00:00Z
    Then test-contact-1 leaves
    And the achievement of test-contact-1 says {"achieved_at": "2026-01-05T00:00:00Z"}

  @ruling-23
  Scenario: Of what is caught up on, the earliest counts
    When payment.completed {"amount": 170} happens to test-contact-1 at 2026-01-07T00:00:00Z
    And payment.completed {"amount": 160} happens to test-contact-1 at 2026-01-06T00:00:00Z
    And payment.completed {"amount": 50} happens to test-contact-1 at 2026-01-05T00:00:00Z
    And the services are at rest
    And test-contact-1 is enrolled since 2026-01-01T00:00:00Z
    Then test-contact-1 leaves
    And test-contact-1 has achieved purchase_made by {"amount": 160}

  @ruling-24
  Scenario: An event is never too late
    Given test-contact-1 is enrolled since 2015-01-01T00:00:00Z
    When payment.completed {"amount": 150} happens to test-contact-1 at 2015-02-01T00:00:00Z
    Then test-contact-1 leaves
    And the achievement of test-contact-1 says {"achieved_at": "2015-02-01T00:00:00Z"}

  @ruling-24
  Scenario: An event from the future happened when it came
    Given test-contact-1 is enrolled
    When payment.completed {"amount": 150} happens to test-contact-1 at 2099-01-01T00:00:00Z
    Then test-contact-1 leaves
    And test-contact-1 reached the goal no later than it left

  @ruling-24
  Scenario: An event without a time is not taken
    Given test-contact-1 is enrolled
    When payment.completed {"amount": 150} is sent of test-contact-1 with {"occurred_at": null}
    Then the verdict is rejected missing_field
    And test-contact-1 stays

  @ruling-25
  Scenario Outline: Within the window: its beginning belongs to it, its end does not
    Given the workflow windowed
    And its goal purchase_made {"min_amount": 100.00} with {"within": "7d"}
    And it is activated
    And test-contact-1 is enrolled since 2026-01-01T00:00:00Z
    When payment.completed {"amount": 150} happens to test-contact-1 at <at>
    Then test-contact-1 <does>

    Examples:
      | at                       | does   |
      | 2026-01-01T00:00:00Z     | leaves |
      | 2026-01-07T23:59:59.999Z | leaves |
      | 2026-01-08T00:00:00Z     | stays  |

  @ruling-25
  Scenario: A window has an end that is not silently another
    Then a goal purchase_made {"any_purchase": true} with {"within": "4000d"} is refused: 400 invalid_value
    And a goal purchase_made {"any_purchase": true} with {"within": "7"} is refused: 400 invalid_value
    And a goal purchase_made {"any_purchase": true} with {"within": "90m"} is taken

  @ruling-25
  Scenario: A window may be taken away
    Given the workflow windowed
    And its goal purchase_made {"min_amount": 100.00} with {"within": "7d"}
    And it is activated
    And test-contact-1 is enrolled
    When goal 1 is changed to {"within": null}
    And payment.completed {"amount": 150} happens to test-contact-1 at 2026-03-01T00:00:00Z
    Then test-contact-1 leaves

  @ruling-28
  Scenario: The same event once more is acknowledged, and changes nothing
    Given test-contact-1 is enrolled
    When payment.completed {"amount": 150} happens to test-contact-1
    And the same event is sent again
    Then the verdict is duplicate
    And test-contact-1 leaves
    And test-contact-1 has 1 achievement

  @ruling-28
  Scenario: Another event under the same id is told so, and the first one stays
    Given test-contact-1 is enrolled
    When payment.completed {"amount": 50} happens to test-contact-1
    And the same event is sent again with {"properties": {"amount": 150}}
    Then the verdict is rejected conflict
    And test-contact-1 stays
