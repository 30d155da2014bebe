//! Tours on roads.
