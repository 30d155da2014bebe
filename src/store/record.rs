//! A page of a database, the rows in it, and their values.
//!
//! Nothing in the file is believed: no length or number in it is used before it is held against what
//! can be. See <https://sqlite.org/fileformat2.html> for the format.

/// The header of the first page, before that of its tree.
const FILE_HEADER: usize = 100;

/// A value of a row.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Integer(i64),
    Text(String),
    Blob(Vec<u8>),
}

/// Where a row begins in its page.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cell {
    pub(super) at: usize,
    pub(super) is_table: bool,
}

/// The rows of a page; `None` when it is no page of a tree.
pub(super) fn cells(page: &[u8], number: u32) -> Option<Vec<Cell>> {
    let header = if number == 1 { FILE_HEADER } else { 0 };
    let (is_table, is_leaf) = match page[header] {
        0x0d => (true, true),
        0x0a => (false, true),
        // the inner pages of an index have rows as well
        0x02 => (false, false),
        0x05 => return Some(Vec::new()),
        _ => return None,
    };
    let count = u16_at(page, header + 3)? as usize;
    let list = header + if is_leaf { 8 } else { 12 };
    let first = list + 2 * count;
    let cell = |n: usize| {
        let at = u16_at(page, list + 2 * n)? as usize;
        (at >= first && at < page.len())
            .then_some(Cell { at: if is_leaf { at } else { at + 4 }, is_table })
    };
    (first <= page.len()).then(|| (0..count).filter_map(cell).collect())
}

/// Whether a page has rows that only the store's view of a database writes: what the outbox's view
/// writes, messages and their numbers, has no index, and an integer where others have something
/// else.
pub(super) fn is_of_store(page: &[u8], number: u32) -> bool {
    // the first one tells of tables
    let cells = if number == 1 { None } else { cells(page, number) };
    let Some(cell) = cells.and_then(|cells| cells.first().copied()) else { return false };
    let kinds = || {
        let mut at = cell.at;
        varint(page, &mut at)?;
        varint(page, &mut at)?;
        let header = at;
        let end = header + usize::try_from(varint(page, &mut at)?).ok()?;
        let mut kinds = Vec::new();
        while at < end && kinds.len() < 3 {
            kinds.push(varint(page, &mut at)?);
        }
        Some(kinds)
    };
    let is_integer = |kind: &i64| matches!(kind, 1..=6 | 8 | 9);
    match kinds().as_deref() {
        _ if !cell.is_table => true,
        None | Some([]) => false,
        // messages, in line or set aside, and counts of them
        Some([0, second, rest @ ..]) => !(is_integer(second) && rest.iter().all(is_integer)),
        // the bytes of a day
        Some([_, rest @ ..]) => !(rest.len() == 1 && rest.iter().all(is_integer)),
    }
}

/// How much of a row of this length is in its own page.
pub(super) fn local_len(len: usize, is_table: bool, size: usize) -> usize {
    let most = if is_table { size - 35 } else { (size - 12) * 64 / 255 - 23 };
    if len <= most {
        return len;
    }
    let least = (size - 12) * 32 / 255 - 23;
    let part = least + (len - least) % (size - 4);
    if part <= most { part } else { least }
}

/// The values of a row.
pub(super) fn values(payload: &[u8]) -> Option<Vec<Value>> {
    let mut at = 0;
    let header = usize::try_from(varint(payload, &mut at)?).ok()?;
    let mut body = header;
    let mut values = Vec::new();
    while at < header {
        let kind = varint(payload, &mut at)?;
        let len = match kind {
            0 | 8 | 9 => 0,
            1..=4 => kind as usize,
            5 => 6,
            6 | 7 => 8,
            12.. => usize::try_from((kind - 12) / 2).ok()?,
            _ => return None,
        };
        let bytes = payload.get(body..body.checked_add(len)?)?;
        body += len;
        values.push(match kind {
            0 => Value::Null,
            1..=6 => Value::Integer(integer(bytes)),
            8 => Value::Integer(0),
            9 => Value::Integer(1),
            // nothing here is a real number
            7 => return None,
            _ if kind % 2 == 0 => Value::Blob(bytes.to_vec()),
            _ => Value::Text(String::from_utf8(bytes.to_vec()).ok()?),
        });
    }
    (at == header && body == payload.len()).then_some(values)
}

fn integer(bytes: &[u8]) -> i64 {
    let negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
    bytes.iter().fold(if negative { -1 } else { 0 }, |n, byte| n << 8 | i64::from(*byte))
}

pub(super) fn varint(bytes: &[u8], at: &mut usize) -> Option<i64> {
    let mut number = 0_u64;
    for n in 0..9 {
        let byte = *bytes.get(*at)?;
        *at += 1;
        if n == 8 {
            return Some((number << 8 | u64::from(byte)).cast_signed());
        }
        number = number << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            break;
        }
    }
    Some(number.cast_signed())
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
