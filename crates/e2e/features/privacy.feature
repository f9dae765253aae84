Feature: What is personal goes no further than the door

  Background:
    Given the product p-1
    And the workflow test-workflow-1
    And its goal purchase_made {"product_id": "p-1"}
    And it is activated

  Scenario: A purchase is stored without what is personal in it, and meets its goal
    Given test-contact-1 is enrolled
    When payment.completed {"amount": 99.90, "product_id": "p-1", "name": "Kim Quillfeather", "note": "kim.quillfeather@example.org, +49 30 8675309, card 4111 1111 1111 1111", "url": "https://kim:quillfeather@shop.example/?q=quillfeather", "card_no": 4111111111111111} happens to test-contact-1
    Then test-contact-1 leaves
    And test-contact-1 has achieved purchase_made by {"amount": 99.90, "product_id": "p-1"}
    And no table has Quillfeather, 8675309, 4111 1111 1111 1111, 4111111111111111

  Scenario: A contact whose id is an e-mail address is the same for whoever names it, and its address is nowhere
    Given Lee.Tumbleweed@Example.com is enrolled
    When payment.completed {"amount": 1, "product_id": "p-1"} happens to lee.tumbleweed@example.com
    Then Lee.Tumbleweed@Example.com leaves
    And LEE.TUMBLEWEED@EXAMPLE.COM has 1 enrollment that is completed_goal
    And no table has tumbleweed

  Scenario: A phone number is the same however it is written, over the bus as well
    Given +49-(0)30-7654321 is enrolled
    When payment.completed {"amount": 1, "product_id": "p-1", "contact_id": "+4930/7654321"} happens to +49.30.7654321 over the bus
    Then +49-(0)30-7654321 leaves
    And no table has 7654321

  Scenario: A repeated event is the same event, although what is stored of it is not what was sent
    When form.submitted {"form_id": "f-1", "email": "x"} is sent of test-contact-1 with {"user_id": "kit.marigold@example.com"}
    Then the verdict is accepted
    When the same event is sent again
    Then the verdict is duplicate
    When the same event is sent again with {"user_id": "kit.marigolds@example.com"}
    Then the verdict is rejected conflict
    And no table has marigold

  Scenario: A tenant may have events with personal data rejected
    Given a tenant with {"redaction": {"mode": "reject", "allow": ["name"]}}
    When form.submitted {"form_id": "f-1", "note": "sam@example.com"} is sent of test-contact-1 with {}
    Then the verdict is rejected personal_data
    When form.submitted {"form_id": "f-1", "name": "Pro"} is sent of test-contact-1 with {}
    Then the verdict is accepted
