Feature: What happened is shown to its tenant

  Scenario: An interaction is shown once, however often it is sent, and without what is personal in it
    When widget_seen {"place": "home", "email": "kim.quillfeather@example.com"} is sent of test-contact-1 with {"project_id": "site"}
    And the same event is sent again
    Then the verdict is duplicate
    And the feed shows [{"event_name": "widget_seen", "contact_id": "test-contact-1", "project_id": "site", "properties": {"place": "home", "email": "[redacted]"}}]
    And the feed of event_name=widget_seen&contact_id=test-contact-1 shows [{"event_name": "widget_seen"}]
    And the feed of event_name=cta_clicked shows []
    When another tenant takes over
    Then the feed shows []

  Scenario: The latest comes first, whichever was sent first
    Given the workflow test-workflow-1
    When payment.completed {"amount": 99.90} happens to test-contact-1 at 2026-01-04T00:00:00Z
    And payment.completed {"amount": 10.00} happens to test-contact-2 at 2026-01-03T00:00:00Z
    Then the feed shows [{"properties": {"amount": 99.90}}, {"properties": {"amount": 10.00}}]
    And the feed of to=2026-01-04T00:00:00Z shows [{"contact_id": "test-contact-2"}]

  Scenario: A contact whose id is an e-mail address is found by the address
    When payment.completed {"amount": 1} happens to Lee.Tumbleweed@Example.com
    Then the feed of contact_id=lee.tumbleweed@example.com shows [{"event_name": "payment.completed"}]
    And the feed of contact_id=somebody.else@example.com shows []
