//! The asynchronous ends of a connection between Chancel's processes: client with deadlines and reconnect, server
