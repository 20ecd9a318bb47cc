//! The examples run to their end without an error.

#[path = "../examples/own_plane.rs"]
mod own_plane;
#[path = "../examples/protocol.rs"]
mod protocol;
#[path = "../examples/ring_plane.rs"]
mod ring_plane;
#[path = "../examples/session_table.rs"]
mod session_table;

#[test]
fn the_own_plane_example_runs() {
    own_plane::main().unwrap();
}

#[test]
fn the_protocol_example_runs() {
    protocol::main().unwrap();
}

#[test]
fn the_ring_plane_example_runs() {
    ring_plane::main().unwrap();
}

#[test]
fn the_session_table_example_runs() {
    session_table::main().unwrap();
}
