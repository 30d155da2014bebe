//! The independent checker: a plan counted again from nothing.
