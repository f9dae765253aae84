Feature: A workflow with several goals

  Scenario: Any of them: out at the first, with exactly one achievement
    Given the workflow test-workflow-3
    And its goal tag_added {"tag_name": "Customer"}
    And its goal purchase_made {"min_amount": 100.00}
    And it is activated
    And test-contact-1 is enrolled
    When payment.completed {"amount": 120.00} happens to test-contact-1
    Then test-contact-1 leaves
    When contact.tag.added {"tag_name": "Customer"} happens to test-contact-1
    Then test-contact-1 leaves
    And test-contact-1 has 1 achievement
    And test-contact-1 has achieved purchase_made by {"amount": 120.00}

  @ruling-18
  Scenario: All of them: not at the first, but at the second, with two achievements
    Given the workflow both with {"goal_logic": "all"}
    And its goal tag_added {"tag_name": "Customer"}
    And its goal purchase_made {"min_amount": 100.00}
    And it is activated
    And test-contact-1 is enrolled
    And test-contact-1 has pending send_email
    When contact.tag.added {"tag_name": "Customer"} happens to test-contact-1
    Then test-contact-1 stays
    And test-contact-1 has 1 achievement
    And the actions of test-contact-1 are:
      | send_email | pending |
    When contact.tag.added {"tag_name": "Customer"} happens to test-contact-1
    Then test-contact-1 stays
    And test-contact-1 has 1 achievement
    When payment.completed {"amount": 120.00} happens to test-contact-1
    Then test-contact-1 leaves
    And test-contact-1 has 2 achievements
    And the exit of test-contact-1 says {"goal_type": "purchase_made", "achievements": [{"goal_type": "tag_added"}, {"goal_type": "purchase_made"}]}

  @ruling-18
  Scenario: All of them, and one event meets two
    Given the workflow both with {"goal_logic": "all"}
    And its goal purchase_made {"min_amount": 100.00}
    And its goal purchase_made {"any_purchase": true}
    And it is activated
    And test-contact-1 is enrolled
    When payment.completed {"amount": 120.00} happens to test-contact-1
    Then test-contact-1 leaves
    And test-contact-1 has 2 achievements

  @ruling-18
  Scenario: At least two of three
    Given the workflow two-of-three with {"goal_logic": {"at_least": 2}}
    And its goal tag_added {"tag_name": "Customer"}
    And its goal purchase_made {"min_amount": 100.00}
    And its goal form_submitted {"any_form": true}
    And it is activated
    And test-contact-1 is enrolled
    When form.submitted {"form_id": "form-1"} happens to test-contact-1
    Then test-contact-1 stays
    When contact.tag.added {"tag_name": "Customer"} happens to test-contact-1
    Then test-contact-1 leaves
    And test-contact-1 has 2 achievements

  @ruling-17
  Scenario: One event meets several: the first by position is credited, the others are named
    Given the workflow three
    And its goal purchase_made {"any_purchase": true} with {"position": 3}
    And its goal purchase_made {"min_amount": 100.00} with {"position": 1}
    And its goal purchase_made {"min_amount": 50.00} with {"position": 2}
    And it is activated
    And test-contact-1 is enrolled
    When payment.completed {"amount": 120.00} happens to test-contact-1
    Then test-contact-1 leaves
    And test-contact-1 has 1 achievement
    And the achievement of test-contact-1 is of goal 2, and goals 3, 1 were met as well

  @ruling-17
  Scenario: Of the same position, the older goal is credited
    Given the workflow two
    And its goal purchase_made {"min_amount": 100.00} with {"position": 1}
    And its goal purchase_made {"any_purchase": true} with {"position": 1}
    And it is activated
    And test-contact-1 is enrolled
    When payment.completed {"amount": 120.00} happens to test-contact-1
    Then test-contact-1 leaves
    And the achievement of test-contact-1 is of goal 1, and goal 2 was met as well

  @ruling-26
  Scenario: Two events at once: the first that commits takes the contact out, the other finds it gone
    Given the workflow test-workflow-3
    And its goal tag_added {"tag_name": "Customer"}
    And its goal purchase_made {"min_amount": 100.00}
    And it is activated
    And test-contact-1 is enrolled
    And test-contact-2 is enrolled
    And test-contact-3 is enrolled
    When at once:
      | contact.tag.added | {"tag_name": "Customer"} | test-contact-1 |
      | payment.completed | {"amount": 100.00}       | test-contact-1 |
      | payment.completed | {"amount": 100.00}       | test-contact-2 |
      | contact.tag.added | {"tag_name": "Customer"} | test-contact-2 |
      | payment.completed | {"amount": 100.00}       | test-contact-3 |
      | payment.completed | {"amount": 101.00}       | test-contact-3 |
    Then test-contact-1 leaves
    And test-contact-1 has 1 achievement
    And test-contact-2 leaves
    And test-contact-2 has 1 achievement
    And test-contact-3 leaves
    And test-contact-3 has 1 achievement

  @ruling-26
  Scenario: All goals at once: nobody is left behind
    Given the workflow both with {"goal_logic": "all"}
    And its goal tag_added {"tag_name": "Customer"}
    And its goal purchase_made {"min_amount": 100.00}
    And it is activated
    And test-contact-1 is enrolled
    And test-contact-2 is enrolled
    When at once:
      | contact.tag.added | {"tag_name": "Customer"} | test-contact-1 |
      | payment.completed | {"amount": 100.00}       | test-contact-1 |
      | payment.completed | {"amount": 100.00}       | test-contact-2 |
      | contact.tag.added | {"tag_name": "Customer"} | test-contact-2 |
    Then test-contact-1 leaves
    And test-contact-1 has 2 achievements
    And test-contact-2 leaves
    And test-contact-2 has 2 achievements

  @ruling-27
  Scenario: Under all, the order of arrival changes nothing
    Given the workflow both with {"goal_logic": "all"}
    And its goal tag_added {"tag_name": "Customer"}
    And its goal purchase_made {"min_amount": 100.00}
    And it is activated
    And test-contact-1 is enrolled
    And test-contact-2 is enrolled
    When contact.tag.added {"tag_name": "Customer"} happens to test-contact-1 at 2026-02-01T00:00:00Z
    And payment.completed {"amount": 150.00} happens to test-contact-1 at 2026-03-01T00:00:00Z
    And payment.completed {"amount": 150.00} happens to test-contact-2 at 2026-03-01T00:00:00Z
    Then test-contact-2 stays
    When contact.tag.added {"tag_name": "Customer"} happens to test-contact-2 at 2026-02-01T00:00:00Z
    Then test-contact-1 leaves
    And the enrollment of test-contact-1 says {"goal_reached_at": "2026-03-01T00:00:00Z"}
    And test-contact-2 leaves
    And the enrollment of test-contact-2 says {"goal_reached_at": "2026-03-01T00:00:00Z"}

  @ruling-27
  Scenario: Under any, what was credited is never rewritten by what comes late
    Given the workflow test-workflow-3
    And its goal tag_added {"tag_name": "Customer"}
    And its goal purchase_made {"min_amount": 100.00}
    And it is activated
    And test-contact-1 is enrolled
    When payment.completed {"amount": 150.00} happens to test-contact-1 at 2026-03-01T00:00:00Z
    Then test-contact-1 leaves
    When contact.tag.added {"tag_name": "Customer"} happens to test-contact-1 at 2026-02-01T00:00:00Z
    Then test-contact-1 leaves
    And the achievement of test-contact-1 says {"goal_type": "purchase_made", "achieved_at": "2026-03-01T00:00:00Z"}
