//! The allocator of every process: services allocate and free small things all the time, on several threads.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
