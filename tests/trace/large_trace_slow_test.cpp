#include <doctest/doctest.h>

#include <limits>

#include <retrace/retrace.h>
#include <retrace/tests/files.h>

using namespace retrace;
using namespace retrace::testing;
using trace::Trace;

TEST_CASE("a trace that nobody could read again is not written") {
  // Of few numbers in memory: many texts of one tensor.
  trace::Numbers numbers;
  numbers.values = full({1'000'000}, std::numeric_limits<double>::min(), kFloat64);
  numbers.sizes = numbers.values.sizes();
  numbers.dtype = kFloat64;
  Trace trace;
  trace.numbers.assign(trace::kLargestFile / 23'000'000 + 1, numbers);
  const TemporaryFolder folder;
  CHECK(
      says(message_of<IoError>([&] { trace.save(folder / "t.json"); }), "t.json: the trace has 1"));
  CHECK(folder.files() == 0);
}
