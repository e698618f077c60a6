#pragma once

namespace shardmill {

// Tells malloc, for the whole process, to keep large blocks that are freed. Messages over TCP are
// received into such blocks; from memory that goes back to the system and comes again, they cost as
// much as all that is done with what they hold. For main to call before anything else. Our daemons
// do; a program that trains over TCP is faster with it.
void KeepLargeBlocks();

}  // namespace shardmill
