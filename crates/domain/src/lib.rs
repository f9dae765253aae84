//! The pure rules of Goalpost: types, validation, judgement, contract.
