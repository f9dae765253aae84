Feature: What changes while contacts are under way

  @ruling-34
  Scenario: An edit is for what comes from then on; the past is not judged again, and nothing is pinned
    Given the workflow test-workflow-2
    And its goal purchase_made {"min_amount": 100.00}
    And it is activated
    And test-contact-1 is enrolled
    When payment.completed {"amount": 60} happens to test-contact-1
    Then test-contact-1 stays
    When goal 1 is changed to {"criteria": {"min_amount": 50.00}}
    And it is rechecked
    Then test-contact-1 stays
    When payment.completed {"amount": 70} happens to test-contact-1
    Then test-contact-1 leaves
    And test-contact-1 has achieved purchase_made by {"amount": 70}
    And the achievement of test-contact-1 says {"goal_version": 2, "criteria": {"min_amount": 50.00}}
    And the audit log has goal.updated with {"before": {"criteria": {"min_amount": 100.00}, "version": 1}, "after": {"criteria": {"min_amount": 50.00}, "version": 2}}

  @ruling-34
  Scenario: What was achieved before an edit keeps the version and the criteria it was judged by
    Given the workflow test-workflow-2
    And its goal purchase_made {"min_amount": 100.00}
    And it is activated
    And test-contact-1 is enrolled
    When payment.completed {"amount": 150} happens to test-contact-1
    Then test-contact-1 leaves
    When goal 1 is changed to {"criteria": {"min_amount": 500.00}}
    Then the achievement of test-contact-1 says {"goal_version": 1, "criteria": {"min_amount": 100.00}}

  @ruling-34
  Scenario: An edit that asks for more is for what comes from then on as well
    Given the workflow test-workflow-2
    And its goal purchase_made {"min_amount": 100.00}
    And it is activated
    And test-contact-1 is enrolled
    When goal 1 is changed to {"criteria": {"min_amount": 500.00}}
    And payment.completed {"amount": 150} happens to test-contact-1
    Then test-contact-1 stays

  Scenario: A goal that is added to a live workflow counts what comes from then on
    Given the workflow test-workflow-2
    And its goal purchase_made {"min_amount": 1000.00}
    And it is activated
    And test-contact-1 is enrolled
    When form.submitted {"form_id": "form-1"} happens to test-contact-1
    Then test-contact-1 stays
    When its goal form_submitted {"any_form": true} is added
    And it is rechecked
    Then test-contact-1 stays
    When form.submitted {"form_id": "form-2"} happens to test-contact-1
    Then test-contact-1 leaves
    And test-contact-1 has achieved form_submitted by {"form_id": "form-2"}

  @ruling-35
  Scenario: A goal that is deleted meets nothing any more; what it met stays
    Given the workflow both with {"goal_logic": "all"}
    And its goal tag_added {"tag_name": "Customer"}
    And its goal form_submitted {"any_form": true}
    And its goal purchase_made {"min_amount": 100.00}
    And it is activated
    And test-contact-1 is enrolled
    When contact.tag.added {"tag_name": "Customer"} happens to test-contact-1
    Then test-contact-1 has 1 achievement
    When goal 1 is deleted
    And goal 3 is deleted
    And payment.completed {"amount": 150} happens to test-contact-1
    Then test-contact-1 stays
    And test-contact-1 has 1 achievement
    And test-contact-1 has achieved tag_added by {"tag_name": "Customer"}

  @ruling-35
  Scenario: Under all, deleting the last goal that is missing takes nobody out; a recheck does
    Given the workflow both with {"goal_logic": "all"}
    And its goal tag_added {"tag_name": "Customer"}
    And its goal purchase_made {"min_amount": 100.00}
    And it is activated
    And test-contact-1 is enrolled
    When contact.tag.added {"tag_name": "Customer"} happens to test-contact-1
    Then test-contact-1 stays
    When goal 2 is deleted
    Then test-contact-1 stays
    When it is rechecked
    Then test-contact-1 leaves
    And test-contact-1 has 1 achievement

  @ruling-35
  Scenario: Under all, deleting the last goal that is missing takes nobody out; the next event does
    Given the workflow both with {"goal_logic": "all"}
    And its goal tag_added {"tag_name": "Customer"}
    And its goal purchase_made {"min_amount": 100.00}
    And it is activated
    And test-contact-1 is enrolled
    When contact.tag.added {"tag_name": "Customer"} happens to test-contact-1
    Then test-contact-1 stays
    When goal 2 is deleted
    And contact.tag.added {"tag_name": "Customer"} happens to test-contact-1
    Then test-contact-1 leaves
    And test-contact-1 has 1 achievement

  Scenario: An inactive goal meets nothing until it is active again
    Given the workflow test-workflow-2
    And its goal purchase_made {"min_amount": 100.00}
    And it is activated
    And test-contact-1 is enrolled
    When goal 1 is changed to {"status": "inactive"}
    And payment.completed {"amount": 150} happens to test-contact-1
    Then test-contact-1 stays
    When goal 1 is changed to {"status": "active"}
    Then test-contact-1 stays
    When payment.completed {"amount": 160} happens to test-contact-1
    Then test-contact-1 leaves
    And test-contact-1 has achieved purchase_made by {"amount": 160}

  Scenario: Under all, an inactive goal is not asked for
    Given the workflow both with {"goal_logic": "all"}
    And its goal tag_added {"tag_name": "Customer"}
    And its goal purchase_made {"min_amount": 100.00}
    And goal 2 is switched off
    And it is activated
    And test-contact-1 is enrolled
    When contact.tag.added {"tag_name": "Customer"} happens to test-contact-1
    Then test-contact-1 leaves

  Scenario: A recheck finds what a changed logic makes enough
    Given the workflow both with {"goal_logic": "all"}
    And its goal tag_added {"tag_name": "Customer"}
    And its goal purchase_made {"min_amount": 100.00}
    And it is activated
    And test-contact-1 is enrolled
    When contact.tag.added {"tag_name": "Customer"} happens to test-contact-1
    Then test-contact-1 stays
    When it is changed to {"goal_logic": "any"}
    And it is rechecked
    Then test-contact-1 leaves
    And test-contact-1 has 1 achievement

  @ruling-36
  Scenario: Paused: actions are held back, goals count
    Given the workflow test-workflow-2
    And its goal purchase_made {"min_amount": 100.00}
    And it is activated
    And test-contact-1 is enrolled
    And test-contact-1 has pending send_email
    When it is paused
    Then starting the send_email of test-contact-1 is refused: 409 workflow_not_active
    And it listens to payment.completed
    When payment.completed {"amount": 150} happens to test-contact-1
    Then test-contact-1 leaves

  @ruling-36
  Scenario: Inactive: nothing counts, actions are held; what happened meanwhile counts only if it is asked for
    Given the workflow test-workflow-2
    And its goal purchase_made {"min_amount": 100.00}
    And it is activated
    And test-contact-1 is enrolled
    And test-contact-1 has pending send_email
    When it is deactivated
    And payment.completed {"amount": 150} happens to test-contact-1
    Then starting the send_email of test-contact-1 is refused: 409 workflow_not_active
    And test-contact-1 stays
    When it is activated
    And it is rechecked
    Then test-contact-1 stays
    When it is deactivated
    And it is activated with catch-up
    Then test-contact-1 leaves
    And test-contact-1 has achieved purchase_made by {"amount": 150}

  Scenario: A contact may be enrolled before the workflow is active; only then its goals count
    Given the workflow test-workflow-2
    And its goal purchase_made {"min_amount": 100.00}
    And test-contact-1 is enrolled
    When payment.completed {"amount": 150} happens to test-contact-1
    Then test-contact-1 stays
    When it is activated
    Then test-contact-1 stays
    When payment.completed {"amount": 160} happens to test-contact-1
    Then test-contact-1 leaves
    And test-contact-1 has achieved purchase_made by {"amount": 160}

  Scenario: Activating an active workflow changes nothing
    Given the workflow test-workflow-2
    And its goal purchase_made {"min_amount": 100.00}
    And it is activated
    Then it says {"status": "active", "version": 2}
    When it is activated
    Then it says {"status": "active", "version": 2}
