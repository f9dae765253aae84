//! HTTP: problem documents, identity, bounded bodies, paging, admin endpoints.
