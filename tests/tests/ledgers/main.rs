//! Both ledgers of a real installation, after real use: that they are sound, that nothing can be done to a copy that the
//! verifier does not find, that what cannot be recorded is not done, and that crashes leave them whole.

mod crashes;
mod events;
mod sound;
mod tampering;
mod unwritable;
mod work;
