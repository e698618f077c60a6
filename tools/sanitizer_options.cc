// What the sanitizers must know of the distribution's libraries, which are not instrumented: TSan
// cannot see how libzmq (with libsodium under it), libgomp and oneDNN synchronise, and would report
// races that are none. The slashes keep our own shared libraries out, whose names may end alike.

extern "C" const char* __tsan_default_suppressions();

extern "C" const char* __tsan_default_suppressions() {
  return "called_from_lib:/libzmq.so\n"
         "called_from_lib:/libsodium.so\n"
         "called_from_lib:/libgomp.so\n"
         "called_from_lib:/libdnnl.so\n"
         "race:/libzmq.so\n";
}
