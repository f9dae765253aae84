Feature: A team gives a workflow its goals

  Background:
    Given the workflow test-workflow-1

  Scenario: A goal on a tag is saved, active, tied to its workflow, and audited
    Given its goal tag_added {"tag_name": "Customer"}
    Then it says {"status": "draft", "goal_logic": "any"}
    And goal 1 says {"goal_type": "tag_added", "criteria": {"tag_name": "Customer"}, "status": "active", "version": 1}
    And the audit log has workflow.created with {"object_type": "workflow", "before": null}
    And the audit log has goal.created with {"object_type": "goal", "before": null, "after": {"goal_type": "tag_added", "criteria": {"tag_name": "Customer"}}}

  @ruling-05
  Scenario: A criterion that is null is absent
    Given its goal purchase_made {"product_id": null, "min_amount": 100.00}
    Then goal 1 says {"goal_type": "purchase_made", "status": "active"}
    And goal 1 is written with "min_amount":100.00
    And a goal purchase_made {"min_amount": 100} is refused: 409 duplicate_goal

  Scenario: A goal on a form
    Given the form form-123
    And its goal form_submitted {"form_id": "form-123"}
    Then goal 1 says {"goal_type": "form_submitted", "criteria": {"form_id": "form-123"}, "status": "active"}

  @ruling-13
  Scenario: A goal on a calendar, which says that not any appointment will do
    Given the calendar cal-456
    And its goal appointment_booked {"calendar_id": "cal-456", "any_appointment": false}
    Then goal 1 says {"goal_type": "appointment_booked", "criteria": {"calendar_id": "cal-456"}, "status": "active"}

  Scenario: A goal on a stage of a pipeline
    Given the pipeline pipe-123
    And the stage stage-789 {"pipeline_id": "pipe-123", "position": 1}
    And its goal pipeline_stage_reached {"pipeline_id": "pipe-123", "stage_id": "stage-789"}
    Then goal 1 says {"goal_type": "pipeline_stage_reached", "status": "active"}

  @ruling-14
  Scenario Outline: Whoever wants anything must say so
    Then a goal <goal> is refused: 400 Goal criteria cannot be empty

    Examples:
      | goal                                                     |
      | tag_added {}                                             |
      | purchase_made {}                                         |
      | appointment_booked {}                                    |
      | form_submitted {}                                        |
      | pipeline_stage_reached {}                                |
      | custom_event {}                                          |
      | purchase_made {"min_amount": null, "product_id": null}   |
      | purchase_made {"any_purchase": false}                    |
      | appointment_booked {"any_appointment": false}            |
      | form_submitted {"any_form": false, "form_id": null}      |

  Scenario Outline: A goal points at something that is there
    Given the pipeline pipe-1
    And the stage stage-1 {"pipeline_id": "pipe-1", "position": 1}
    Then a goal <goal> is refused: 400 Referenced <kind> does not exist

    Examples:
      | kind     | goal                                                                       |
      | form     | form_submitted {"form_id": "nonexistent"}                                  |
      | form     | form_submitted {"form_ids": ["nonexistent"]}                               |
      | calendar | appointment_booked {"calendar_id": "nonexistent"}                          |
      | service  | appointment_booked {"service_id": "nonexistent"}                           |
      | tag      | tag_added {"tag_id": "nonexistent"}                                        |
      | product  | purchase_made {"product_id": "nonexistent"}                                |
      | pipeline | pipeline_stage_reached {"pipeline_id": "nonexistent", "stage_id": "stage-1"} |
      | stage    | pipeline_stage_reached {"stage_id": "nonexistent"}                         |
      | stage    | pipeline_stage_reached {"pipeline_id": "pipe-1", "stage_id": "stage-2"}    |

  Scenario: Three goals are the most
    Given its goal tag_added {"tag_name": "Customer"}
    And its goal tag_added {"tag_name": "VIP"}
    And its goal purchase_made {"any_purchase": true}
    Then a goal form_submitted {"any_form": true} is refused: 400 Maximum of 3 goals per workflow exceeded
    And it has 3 goals

  @ruling-37
  Scenario: Three goals are the most, however many come at once
    When 8 different goals are added at once
    Then it has 3 goals

  @ruling-37
  Scenario: An inactive goal takes one of the three places, a deleted one does not
    Given its goal tag_added {"tag_name": "Customer"}
    And its goal tag_added {"tag_name": "VIP"}
    And its goal purchase_made {"any_purchase": true}
    When goal 1 is changed to {"status": "inactive"}
    Then a goal form_submitted {"any_form": true} is refused: 400 Maximum of 3 goals per workflow exceeded
    When goal 1 is deleted
    Then a goal form_submitted {"any_form": true} is taken

  @ruling-09
  Scenario: What a goal points at may go; the workflow is then not activated
    Given the tag tag-1 {"name": "Customer"}
    And its goal tag_added {"tag_id": "tag-1"}
    And its goal purchase_made {"any_purchase": true}
    When the tag tag-1 is deleted
    Then activating it is refused: 400 Invalid goal configuration: tag does not exist
    And it says {"status": "draft"}
    And it listens to nothing

  @ruling-09
  Scenario: A tag is wanted by one of id, name and pattern; a name need not exist yet
    Given the tag tag-1 {"name": "Customer"}
    Then a goal tag_added {"tag_id": "tag-1", "tag_name": "Customer"} is refused: 400 conflicting_criteria
    And a goal tag_added {"tag_name": "Not yet there"} is taken
    And a goal tag_added {"tag_id": "tag-1"} is taken
    And a goal tag_added {"tag_pattern": "vip-*"} is taken

  @ruling-13
  Scenario Outline: Any and one in particular contradict each other
    Given the calendar cal-1
    And the form form-1
    Then a goal <goal> is refused: 400 conflicting_criteria

    Examples:
      | goal                                                                  |
      | appointment_booked {"any_appointment": true, "calendar_id": "cal-1"}  |
      | form_submitted {"any_form": true, "form_id": "form-1"}                |
      | purchase_made {"any_purchase": true, "min_amount": 10}                |

  @ruling-15
  Scenario Outline: A goal that is not understood is refused, with what is wrong in it
    Then a goal <goal> is refused: 400 <code>

    Examples:
      | goal                                                          | code              |
      | purchase_made {"min_amout": 100}                              | unknown_field     |
      | purchase_made {"min_amount": "much"}                          | invalid_value     |
      | purchase_made {"min_amount": true}                            | invalid_type      |
      | purchase_made {"min_amount": -1}                              | invalid_value     |
      | purchase_made {"min_amount": 2, "max_amount": 1}              | conflicting_criteria |
      | tag_added {"tag_name": 7}                                     | invalid_type      |
      | coffee_drunk {"cups": 3}                                      | unknown_goal_type |
      | purchase_made {"any_purchase": true} with {"within": "soon"}  | invalid_value     |
      | purchase_made {"any_purchase": true} with {"on_enroll": "exit"} | invalid_value   |
      | custom_event {"event_name": "Course Finished"}                | invalid_event_name |

  @ruling-16
  Scenario Outline: Two goals that mean the same are one too many
    Given its goal <goal>
    Then a goal <same> is refused: 409 duplicate_goal
    And it has 1 goal

    Examples:
      | goal                                             | same                                              |
      | purchase_made {"min_amount": 100}                | purchase_made {"min_amount": 100.00}              |
      | purchase_made {"min_amount": 5, "max_amount": 9} | purchase_made {"max_amount": "9.0", "min_amount": 5, "product_id": null} |
      | tag_added {"tag_name": "Customer"}               | tag_added {"tag_name": "  CUSTOMER "}             |

  @ruling-16
  Scenario: An edit makes no duplicate either
    Given its goal purchase_made {"min_amount": 100}
    And its goal purchase_made {"min_amount": 200}
    Then changing goal 2 to {"criteria": {"min_amount": 100.0}} is refused: 409 duplicate_goal

  @ruling-02
  Scenario: An amount is as fine as its currency, and kept as it is written
    Then a goal purchase_made {"min_amount": 100.001, "currency": "USD"} is refused: 400 invalid_value
    And a goal purchase_made {"min_amount": 100.5, "currency": "JPY"} is refused: 400 invalid_value
    And a goal purchase_made {"min_amount": 100.50, "currency": "USD"} is taken
    And goal 1 is written with "min_amount":100.50
