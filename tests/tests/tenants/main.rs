//! Tenants and API keys over HTTP, attacked by those who hold one: nobody gets more than it has, a dead API key is dead
//! on the next request, a tenant that is suspended or deleted does nothing, and no header says where a request is from.

mod api_keys;
mod init;
mod operators;
mod proxies;
mod standing;
