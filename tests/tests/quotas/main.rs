//! Limits of number from outside: what a plan allows is allowed and no more; what was counted stays counted, once each,
//! whatever happens to the daemons meanwhile; and the terms change when their file does, unless the file is wrong.

mod counting;
mod limits;
mod reload;
