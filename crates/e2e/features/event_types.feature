Feature: A tenant says what its events are

  Scenario: An event is held against the schema of its type, and meets goals as any other
    Given the event type course.finished {"type": "object", "required": ["grade"], "properties": {"grade": {"type": "integer"}}}
    And the workflow test-workflow-1
    And its goal custom_event {"event_name": "course.finished", "where": [{"property": "grade", "op": "gte", "value": 2}]}
    And it is activated
    And test-contact-1 is enrolled
    When course.finished {"grade": "two"} is sent of test-contact-1 with {}
    Then the verdict is rejected schema_violation
    When course.finished {} is sent of test-contact-1 with {}
    Then the verdict is rejected missing_field
    And test-contact-1 stays
    When course.finished {"grade": 2} happens to test-contact-1
    Then test-contact-1 leaves

  Scenario: Under strict only what is known is taken
    Given a tenant with {"taxonomy": "strict"}
    And the event type course.finished {}
    When course.begun {} is sent of test-contact-1 with {}
    Then the verdict is rejected unknown_event_name
    When course.finished {} happens to test-contact-1
    And payment.completed {"amount": 1} happens to test-contact-1
