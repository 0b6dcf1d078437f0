//! What every Chancel daemon does alike at start: configuration, secret files, log
