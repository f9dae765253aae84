Feature: What a tag, a stage, a booking and any other event has to be

  @ruling-07
  Scenario Outline: A tag's name is the same, however it is spaced and capitalised
    Given the workflow test-workflow-1
    And its goal tag_added <criteria>
    And it is activated
    And test-contact-1 is enrolled
    When contact.tag.added {"tag_name": "<tag>"} happens to test-contact-1
    Then test-contact-1 <does>

    Examples:
      | criteria                                         | tag          | does   |
      | {"tag_name": "Customer"}                         | Customer     | leaves |
      | {"tag_name": "Customer"}                         | customer     | leaves |
      | {"tag_name": "Customer"}                         | \\tCUSTOMER  | leaves |
      | {"tag_name": "Straße"}                           | STRASSE      | leaves |
      | {"tag_name": "Café"}                             | cafe\\u0301  | leaves |
      | {"tag_name": "Customer"}                         | Customers    | stays  |
      | {"tag_name": "Customer", "case_sensitive": true} | Customer     | leaves |
      | {"tag_name": "Customer", "case_sensitive": true} | customer     | stays  |
      | {"tag_name": "VIP*"}                             | vip*         | leaves |
      | {"tag_name": "VIP*"}                             | vip-gold     | stays  |

  @ruling-08
  Scenario Outline: A pattern covers the whole name
    Given the workflow test-workflow-1
    And its goal tag_added {"tag_pattern": "<pattern>"}
    And it is activated
    And test-contact-1 is enrolled
    When contact.tag.added {"tag_name": "<tag>"} happens to test-contact-1
    Then test-contact-1 <does>

    Examples:
      | pattern  | tag          | does   |
      | vip-*    | VIP-gold     | leaves |
      | vip-*    | my vip-gold  | stays  |
      | vip-?    | vip-1        | leaves |
      | vip-?    | vip-12       | stays  |
      | 5\\\\*   | 5*           | leaves |
      | 5\\\\*   | 5 stars      | stays  |

  @ruling-08
  Scenario: A pattern has something to go by
    Given the workflow test-workflow-1
    Then a goal tag_added {"tag_pattern": "*"} is refused: 400 invalid_pattern
    And a goal tag_added {"tag_pattern": "?*"} is refused: 400 invalid_pattern
    And a goal tag_added {"tag_pattern": "vip-*"} is taken

  @ruling-09
  Scenario Outline: A tag's id and its name stand for each other
    Given the tag tag-1 {"name": "Customer"}
    And the tag tag-2 {"name": "Prospect"}
    And the workflow test-workflow-1
    And its goal tag_added <criteria>
    And it is activated
    And test-contact-1 is enrolled
    When contact.tag.added <event> happens to test-contact-1
    Then test-contact-1 <does>

    Examples:
      | criteria                 | event                                          | does   |
      | {"tag_id": "tag-1"}      | {"tag_id": "tag-1"}                            | leaves |
      | {"tag_id": "tag-1"}      | {"tag_name": "customer"}                       | leaves |
      | {"tag_id": "tag-1"}      | {"tag_id": "tag-2"}                            | stays  |
      | {"tag_id": "tag-1"}      | {"tag_name": "Prospect"}                       | stays  |
      | {"tag_name": "Customer"} | {"tag_id": "tag-1"}                            | leaves |
      | {"tag_name": "Customer"} | {"tag_id": "tag-2"}                            | stays  |
      | {"tag_pattern": "cust*"} | {"tag_id": "tag-1"}                            | leaves |
      | {"tag_pattern": "cust*"} | {"tag_id": "tag-2"}                            | stays  |

  @ruling-09
  Scenario: A tag that gets another name is known by it from then on
    Given the tag tag-1 {"name": "Customer"}
    And the workflow test-workflow-1
    And its goal tag_added {"tag_id": "tag-1"}
    And it is activated
    And test-contact-1 is enrolled
    And the tag tag-1 {"name": "Buyer"}
    When contact.tag.added {"tag_name": "Customer"} happens to test-contact-1
    Then test-contact-1 stays
    When contact.tag.added {"tag_name": "Buyer"} happens to test-contact-1
    Then test-contact-1 leaves

  @ruling-10
  Scenario: A contact that has the tag already is enrolled, and that it has it does not count
    Given the workflow test-workflow-1
    And its goal tag_added {"tag_name": "Customer"}
    And it is activated
    And contact.tag.added {"tag_name": "Customer"} happens to test-contact-2 at 2025-12-01T00:00:00Z
    And test-contact-2 is enrolled
    Then test-contact-2 stays

  @ruling-10
  Scenario: A contact that has the tag already is passed over, if the goal says so
    Given the workflow test-workflow-1
    And its goal tag_added {"tag_name": "Customer"} with {"on_enroll": "skip_enrollment"}
    And it is activated
    And contact.tag.added {"tag_name": "Customer"} happens to test-contact-2 at 2025-12-01T00:00:00Z
    And contact.tag.added {"tag_name": "Prospect"} happens to test-contact-1 at 2025-12-01T00:00:00Z
    Then enrolling test-contact-2 is skipped
    And the statistics say {"total_enrolled": 0, "goals_achieved": 0}
    When test-contact-1 is enrolled
    Then test-contact-1 stays

  @ruling-10
  Scenario: A contact that is in the stage already leaves at once, if the goal says so, and that is no conversion
    Given the pipeline pipe-1
    And the stage stage-1 {"pipeline_id": "pipe-1", "position": 1}
    And the workflow selling
    And its goal pipeline_stage_reached {"stage_id": "stage-1"} with {"on_enroll": "exit"}
    And it is activated
    And pipeline.stage.changed {"stage_id": "stage-1"} happens to test-contact-2 at 2025-12-01T00:00:00Z
    When the services are at rest
    And test-contact-2 is enrolled
    Then the enrollment of test-contact-2 says {"status": "removed", "exit_reason": "already_satisfied", "achievements": []}
    And nobody is told that test-contact-2 left by a goal
    And the statistics say {"goals_achieved": 0, "conversion_rate": 0.0}

  @ruling-11
  Scenario: A tag that the contact had already does not count; one that it lost and got again does
    Given the workflow test-workflow-1
    And its goal tag_added {"tag_name": "Customer"}
    And it is activated
    And contact.tag.added {"tag_name": "Customer"} happens to test-contact-2 at 2025-12-01T00:00:00Z
    And test-contact-2 is enrolled
    When contact.tag.added {"tag_name": "Customer", "already_present": true} happens to test-contact-2
    Then test-contact-2 stays
    When contact.tag.removed {"tag_name": "Customer"} happens to test-contact-2
    And contact.tag.added {"tag_name": "Customer", "already_present": false} happens to test-contact-2
    Then test-contact-2 leaves

  @ruling-12
  Scenario Outline: A stage is reached by entering it, and beyond it counts where that is said
    Given the pipeline pipe-1
    And the stage lead {"pipeline_id": "pipe-1", "position": 1}
    And the stage qualified {"pipeline_id": "pipe-1", "position": 2}
    And the stage won {"pipeline_id": "pipe-1", "position": 3}
    And the pipeline pipe-2
    And the stage other {"pipeline_id": "pipe-2", "position": 9}
    And the workflow selling
    And its goal pipeline_stage_reached <criteria>
    And it is activated
    And test-contact-1 is enrolled
    When pipeline.stage.changed <event> happens to test-contact-1
    Then test-contact-1 <does>

    Examples:
      | criteria                                          | event                                                  | does   |
      | {"stage_id": "qualified"}                         | {"stage_id": "qualified"}                              | leaves |
      | {"stage_id": "qualified"}                         | {"stage_id": "qualified", "from_stage_id": "lead"}     | leaves |
      | {"stage_id": "qualified"}                         | {"stage_id": "qualified", "from_stage_id": "qualified"} | stays |
      | {"stage_id": "qualified"}                         | {"stage_id": "won"}                                    | stays  |
      | {"stage_id": "qualified"}                         | {"stage_id": "lead"}                                   | stays  |
      | {"stage_id": "qualified", "at_or_beyond": true}   | {"stage_id": "qualified"}                              | leaves |
      | {"stage_id": "qualified", "at_or_beyond": true}   | {"stage_id": "won", "from_stage_id": "lead"}           | leaves |
      | {"stage_id": "qualified", "at_or_beyond": true}   | {"stage_id": "lead"}                                   | stays  |
      | {"stage_id": "qualified", "at_or_beyond": true}   | {"stage_id": "other"}                                  | stays  |
      | {"stage_id": "qualified", "pipeline_id": "pipe-1"} | {"stage_id": "qualified"}                             | leaves |
      | {"stage_id": "qualified", "pipeline_id": "pipe-1"} | {"stage_id": "qualified", "pipeline_id": "pipe-1"}    | leaves |
      | {"stage_id": "qualified", "pipeline_id": "pipe-1"} | {"stage_id": "qualified", "pipeline_id": "pipe-2"}    | stays  |

  @ruling-12
  Scenario: A stage is one of its pipeline
    Given the pipeline pipe-1
    And the pipeline pipe-2
    And the stage lead {"pipeline_id": "pipe-1", "position": 1}
    And the workflow selling
    Then a goal pipeline_stage_reached {"pipeline_id": "pipe-2", "stage_id": "lead"} is refused: 400 Referenced stage does not exist

  @ruling-13
  Scenario Outline: An appointment counts when it is booked, in its calendar and for its service
    Given the calendar cal-1
    And the service ser-1
    And the workflow booking
    And its goal appointment_booked <criteria>
    And it is activated
    And test-contact-1 is enrolled
    When <event> happens to test-contact-1
    Then test-contact-1 <does>

    Examples:
      | criteria                                         | event                                                                | does   |
      | {"any_appointment": true}                        | appointment.booked {"calendar_id": "cal-7"}                          | leaves |
      | {"calendar_id": "cal-1"}                         | appointment.booked {"calendar_id": "cal-1", "service_id": "ser-7"}   | leaves |
      | {"service_id": "ser-1"}                          | appointment.booked {"calendar_id": "cal-7", "service_id": "ser-1"}   | leaves |
      | {"service_id": "ser-1"}                          | appointment.booked {"calendar_id": "cal-1"}                          | stays  |
      | {"calendar_id": "cal-1", "service_id": "ser-1"}  | appointment.booked {"calendar_id": "cal-1", "service_id": "ser-1"}   | leaves |
      | {"calendar_id": "cal-1", "service_id": "ser-1"}  | appointment.booked {"calendar_id": "cal-1", "service_id": "ser-7"}   | stays  |
      | {"any_appointment": true}                        | appointment.rescheduled {"calendar_id": "cal-1"}                     | stays  |

  @ruling-13
  Scenario: An appointment that is cancelled later was booked
    Given the workflow booking
    And its goal appointment_booked {"any_appointment": true}
    And it is activated
    And test-contact-1 is enrolled
    When appointment.booked {"calendar_id": "cal-1", "appointment_id": "apt-1"} happens to test-contact-1
    And appointment.cancelled {"calendar_id": "cal-1", "appointment_id": "apt-1"} happens to test-contact-1
    Then test-contact-1 leaves
    And test-contact-1 has 1 achievement

  Scenario: Any form
    Given the workflow asking
    And its goal form_submitted {"any_form": true}
    And it is activated
    And test-contact-1 is enrolled
    When form.submitted {"form_id": "form-9"} happens to test-contact-1
    Then test-contact-1 leaves

  Scenario Outline: Any other event, by conditions that must all hold
    Given the workflow courses
    And its goal custom_event {"event_name": "course.finished", "where": [<where>]}
    And it is activated
    And test-contact-1 is enrolled
    When course.finished {"grade": 2.50, "course": "rust-advanced", "passed": true} happens to test-contact-1
    Then test-contact-1 <does>

    Examples:
      | where                                                                | does   |
      |                                                                      | leaves |
      | {"property": "course", "op": "eq", "value": "rust-advanced"}         | leaves |
      | {"property": "course", "op": "eq", "value": "rust"}                  | stays  |
      | {"property": "course", "op": "ne", "value": "rust"}                  | leaves |
      | {"property": "course", "op": "in", "value": ["go", "rust-advanced"]} | leaves |
      | {"property": "grade", "op": "gt", "value": 2.5}                      | stays  |
      | {"property": "grade", "op": "gte", "value": 2.5}                     | leaves |
      | {"property": "grade", "op": "lt", "value": 2.500000000000000001}     | leaves |
      | {"property": "grade", "op": "lte", "value": 2.4}                     | stays  |
      | {"property": "grade", "op": "exists", "value": true}                 | leaves |
      | {"property": "teacher", "op": "exists", "value": true}               | stays  |
      | {"property": "course", "op": "prefix", "value": "rust-"}             | leaves |
      | {"property": "course", "op": "glob", "value": "*-advanced"}          | leaves |
      | {"property": "passed", "op": "eq", "value": true}, {"property": "grade", "op": "gt", "value": 3} | stays |
