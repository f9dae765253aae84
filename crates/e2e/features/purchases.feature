Feature: What a purchase has to be

  @ruling-01 @ruling-02
  Scenario Outline: An amount is compared to its last digit
    Given the workflow test-workflow-2
    And its goal purchase_made {"min_amount": 100.00, "max_amount": 200.00}
    And it is activated
    And test-contact-1 is enrolled
    When payment.completed {"amount": <amount>} happens to test-contact-1
    Then test-contact-1 <does>

    Examples:
      | amount                   | does   |
      | 99.999999999999999999    | stays  |
      | 100                      | leaves |
      | "100.00"                 | leaves |
      | 200.00                   | leaves |
      | 200.000000000000000001   | stays  |
      | 200.01                   | stays  |

  @ruling-02
  Scenario: An amount goes out as it came in
    Given the workflow test-workflow-2
    And its goal purchase_made {"min_amount": 100.00}
    And it is activated
    And test-contact-1 is enrolled
    When payment.completed {"amount": 150.00} happens to test-contact-1
    Then test-contact-1 leaves
    And the exit of test-contact-1 is written with "amount":150.00

  @ruling-03
  Scenario Outline: Another currency never matches an amount, and the tenant's stands for one that is absent
    Given a tenant with {"default_currency": "EUR"}
    And the workflow test-workflow-2
    And its goal purchase_made <criteria>
    And it is activated
    And test-contact-1 is enrolled
    When payment.completed <event> happens to test-contact-1
    Then test-contact-1 <does>

    Examples:
      | criteria                               | event                                | does   |
      | {"min_amount": 100}                    | {"amount": 150}                      | leaves |
      | {"min_amount": 100}                    | {"amount": 150, "currency": "EUR"}   | leaves |
      | {"min_amount": 100}                    | {"amount": 150, "currency": "USD"}   | stays  |
      | {"min_amount": 100, "currency": "USD"} | {"amount": 150, "currency": "USD"}   | leaves |
      | {"min_amount": 100, "currency": "USD"} | {"amount": 150}                      | stays  |
      | {"currency": "USD"}                    | {"amount": 1, "currency": "USD"}     | leaves |
      | {"currency": "USD"}                    | {"amount": 1, "currency": "EUR"}     | stays  |
      | {"any_purchase": true}                 | {"amount": 1, "currency": "USD"}     | leaves |

  @ruling-04
  Scenario Outline: Product and amount must both be right, in the same purchase
    Given the product p-1
    And the product p-2
    And the workflow test-workflow-2
    And its goal purchase_made <criteria>
    And it is activated
    And test-contact-1 is enrolled
    When payment.completed <event> happens to test-contact-1
    Then test-contact-1 <does>

    Examples:
      | criteria                                 | event                                | does   |
      | {"product_id": "p-1", "min_amount": 100} | {"amount": 150, "product_id": "p-1"} | leaves |
      | {"product_id": "p-1", "min_amount": 100} | {"amount": 50, "product_id": "p-1"}  | stays  |
      | {"product_id": "p-1", "min_amount": 100} | {"amount": 150, "product_id": "p-2"} | stays  |
      | {"product_id": "p-1", "min_amount": 100} | {"amount": 150}                      | stays  |
      | {"product_ids": ["p-1", "p-2"]}          | {"amount": 1, "product_id": "p-2"}   | leaves |
      | {"product_ids": ["p-1", "p-2"]}          | {"amount": 1, "product_id": "p-3"}   | stays  |

  @ruling-04
  Scenario: Two purchases that are each half right are not one
    Given the product p-1
    And the workflow test-workflow-2
    And its goal purchase_made {"product_id": "p-1", "min_amount": 100}
    And it is activated
    And test-contact-1 is enrolled
    When payment.completed {"amount": 50, "product_id": "p-1"} happens to test-contact-1
    And payment.completed {"amount": 150, "product_id": "p-2"} happens to test-contact-1
    Then test-contact-1 stays

  @ruling-06
  Scenario: What was bought stays bought: a refund takes nobody back
    Given the workflow test-workflow-2
    And its goal purchase_made {"any_purchase": true}
    And it is activated
    And test-contact-1 is enrolled
    When payment.completed {"amount": 150.00} happens to test-contact-1
    And payment.refunded {"amount": 150.00} happens to test-contact-1
    And payment.completed {"amount": -150.00} happens to test-contact-1
    Then test-contact-1 leaves
    And test-contact-1 has achieved purchase_made by {"amount": 150.00}
    And test-contact-1 has 0 enrollments that are active
    And the statistics say {"goals_achieved": 1}

  @ruling-06
  Scenario Outline: Nothing and less than nothing is no purchase, and a refund is none
    Given the workflow test-workflow-2
    And its goal purchase_made {"any_purchase": true}
    And it is activated
    And test-contact-1 is enrolled
    When <event> happens to test-contact-1
    Then test-contact-1 stays

    Examples:
      | event                                |
      | payment.completed {"amount": 0}      |
      | payment.completed {"amount": 0.00}   |
      | payment.completed {"amount": -10.00} |
      | payment.refunded {"amount": 10.00}   |
      | payment.failed {"amount": 10.00}     |
