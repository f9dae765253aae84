Feature: A visitor turns out to be a contact; and people are forgotten when they ask for it

  Background:
    Given the workflow test-workflow-1 with {"allow_reentry": true}
    And its goal tag_added {"tag_name": "Customer"}
    And it is activated
    And test-contact-1 is enrolled

  Scenario: What a visitor does counts for the contact from the link on, and no longer once it is taken back
    When contact.tag.added {"tag_name": "Customer"} is sent of nobody with {"contact_id": null, "user_id": "visitor-1"}
    Then test-contact-1 stays
    When visitor-1 is identified as test-contact-1
    And visitor-1 is identified as test-contact-1
    Then identifying visitor-1 as test-contact-2 is refused: 409 already_identified
    And identifying anonymous as test-contact-2 is refused: 400 placeholder_id
    And the bus was told 1 time that visitor-1 is linked
    And test-contact-1 stays
    When contact.tag.added {"tag_name": "Customer"} is sent of nobody with {"contact_id": null, "user_id": "visitor-1"}
    Then test-contact-1 leaves
    When test-contact-1 is enrolled
    And the link of visitor-1 is taken back
    Then the bus was told 1 time that visitor-1 is unlinked
    When contact.tag.added {"tag_name": "Customer"} is sent of nobody with {"contact_id": null, "user_id": "visitor-1"}
    Then the verdict is accepted
    And test-contact-1 stays

  Scenario: A link is its tenant's, and a visitor who names a contact is believed
    When another tenant takes over
    And visitor-1 is identified as test-contact-1
    And the first tenant takes over
    And contact.tag.added {"tag_name": "Customer"} is sent of nobody with {"contact_id": null, "user_id": "visitor-1"}
    Then test-contact-1 stays
    When visitor-1 is identified as test-contact-1
    And contact.tag.added {"tag_name": "Customer"} is sent of test-contact-2 with {"user_id": "visitor-1"}
    Then test-contact-1 stays
    When contact.tag.added {"tag_name": "Customer", "user_id": "visitor-1"} is told over the bus as a cloud event of nobody
    Then test-contact-1 leaves

  Scenario: Nothing is left of whom nobody shall remember, but what counts
    Given test-contact-2 is enrolled
    And test-contact-1 has pending send_email, wait
    And visitor-1 is identified as test-contact-1
    When contact.tag.added {"tag_name": "VIP", "note": "of visitor-1"} is sent of nobody with {"contact_id": null, "user_id": "visitor-1"}
    And enroll {"contact_id": "test-contact-3"} is asked over the bus
    And contact.tag.added {"tag_name": "Customer"} happens to test-contact-2
    Then the statistics say {"total_enrolled": 3, "goals_achieved": 1, "by_status": {"active": 2, "removed": 0}}
    And what is kept of test-contact-1 is 2 action, 1 enrollment, 1 event, 1 identity_link
    And what is kept of test-contact-2 is 1 achievement, 1 enrollment, 1 event
    When test-contact-1 is forgotten
    Then the receipt says {"ingest": {"ingest.events_raw": 1, "ingest.identity_links": 1}, "evaluator": {"evaluator.enrollments": 1, "evaluator.workflow_goal_achievements": 0}, "goals": {"goals.dead_letters": 0}}
    And nothing is kept of test-contact-1, visitor-1
    And the enrollment of test-contact-1 says {"status": "removed", "exit_reason": "contact_erased", "version": 2}
    And nobody is told that test-contact-1 left by a goal
    And the actions of test-contact-1 are:
      | send_email | cancelled |
      | wait       | cancelled |
    And the audit log has subject.erased with {"object_type": "subject", "before": null, "after": null}
    When test-contact-2 is forgotten
    Then the receipt says {"ingest": {"ingest.events_raw": 1}, "evaluator": {"evaluator.enrollments": 1, "evaluator.workflow_goal_achievements": 1}}
    And the achievement of test-contact-2 says {"goal_type": "tag_added", "trigger_event": {}}
    When the same event is sent again
    Then the verdict is duplicate
    When test-contact-3 is forgotten
    Then the receipt says {"evaluator": {"evaluator.enrollments": 1, "evaluator.answers": 1}}
    And nothing is kept of test-contact-2, test-contact-3
    And the statistics say {"total_enrolled": 3, "goals_achieved": 1, "conversion_rate": 33.3, "by_status": {"active": 0, "removed": 2}}
    When the same is asked again
    Then nothing is kept of test-contact-3
    When test-contact-1 is enrolled
    And contact.tag.added {"tag_name": "Customer"} happens to test-contact-1
    Then test-contact-1 leaves

  Scenario: To forget somebody of one tenant takes nobody from another
    When another tenant takes over
    And test-contact-1 is forgotten
    Then the receipt says {"ingest": {"ingest.events_raw": 0}, "evaluator": {"evaluator.enrollments": 0}}
    When the first tenant takes over
    Then the receipt is not there
    And test-contact-1 stays
