//! Break-glass, attacked: who opens it, what it opens, and how it ends. As root, which alone may open it; for anybody
//! else these tests are skipped with a note.

mod ending;
mod opening;
mod scene;
mod uses;
