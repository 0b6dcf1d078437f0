//! One page of an operators' list.

use crate::store::StoreError;
use chancel_wire::limits::ADMIN_PAGE;

/// The rows of a page, and whether there are more after it. `read` is told how many rows to look for: one more than a
/// page has.
///
/// # Errors
/// What `read` reports.
pub fn page<Row>(
    read: impl FnOnce(usize) -> Result<Vec<Row>, StoreError>,
) -> Result<(Vec<Row>, bool), StoreError> {
    let mut rows = read(ADMIN_PAGE + 1)?;
    let more = rows.len() > ADMIN_PAGE;
    rows.truncate(ADMIN_PAGE);
    Ok((rows, more))
}
