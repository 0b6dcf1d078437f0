//! Published test vectors through exactly the functions the daemons call: `chancel_keyd::crypto` for what
//! needs a private key, `chancel_pqc` for the rest. Each file's report says how many cases passed, how many
//! could be checked only in part and how many do not apply, and why. The report is always shown.

#[path = "vectors/acvp.rs"]
mod acvp;
#[path = "vectors/cross_library.rs"]
mod cross_library;
#[path = "vectors/drafts.rs"]
mod drafts;
#[path = "vectors/folder.rs"]
mod folder;
#[path = "vectors/key_pair.rs"]
mod key_pair;
#[path = "vectors/report.rs"]
mod report;
#[path = "vectors/wycheproof_ml_dsa.rs"]
mod wycheproof_ml_dsa;
#[path = "vectors/wycheproof_ml_kem.rs"]
mod wycheproof_ml_kem;
