// Tensors that no memory holds.
#include <doctest/doctest.h>

#include <sys/resource.h>

#include <functional>
#include <limits>

#include <retrace/retrace.h>
#include <retrace/tests/figures.h>
#include <retrace/tests/files.h>

using namespace retrace;
using namespace retrace::testing;

namespace {

struct Request {
  const char* what;
  std::string_view words;  // shape and bytes, or that these cannot be counted
  std::function<void()> make;
};

// While it lives, the process has an address space of 64 GiB: some systems promise any amount of
// memory, and end the process that uses it. (A sanitizer's own memory would not fit; it is told
// about no request that the pool does not refuse itself.)
class AddressSpace {
 public:
  AddressSpace() {
#ifndef RETRACE_NO_POOL
    ::getrlimit(RLIMIT_AS, &before_);
    rlimit small = before_;
    small.rlim_cur = rlim_t{1} << 36;
    ::setrlimit(RLIMIT_AS, &small);
#endif
  }
  ~AddressSpace() {
#ifndef RETRACE_NO_POOL
    ::setrlimit(RLIMIT_AS, &before_);
#endif
  }
  AddressSpace(const AddressSpace&) = delete;
  AddressSpace& operator=(const AddressSpace&) = delete;

 private:
  rlimit before_{};
};

constexpr std::int64_t kSide = std::int64_t{1} << 21, kHalf = std::int64_t{1} << 61;

std::vector<Request> requests() {
  std::vector<Request> all = {
      {"ones", "[2, 2, 1, 2305843009213693952] does not fit 63 bits",
       [] {
         ones({2, 2, 1, kHalf});
       }},
      {"bytes", "float64 [2305843009213693952]", [] { zeros({kHalf}, kFloat64); }},
      {"strides around 0", "[2305843009213693952, 2305843009213693952, 0] does not fit 63 bits",
       [] {
         empty({kHalf, kHalf, 0});
       }},
      {"strides behind 0", "[0, 2305843009213693952, 8] does not fit 63 bits",
       [] {
         empty({0, kHalf, 8});
       }},
      {"reshape", "[0, 2305843009213693952, 8]",
       [] {
         zeros({0}).reshape({0, kHalf, 8});
       }},
      {"expand", "[2305843009213693952, 16]",
       [] {
         ones({1}).expand({kHalf, 16});
       }},
      {"2^47 bytes", "140737488355328 bytes for float32 [35184372088832]",
       [] { empty({std::int64_t{1} << 45}); }},
  };
#ifndef RETRACE_NO_POOL
  const std::string_view square = "17592186044416 bytes for float32 [2097152, 2097152]";
  const std::vector<Request> large = {
      {"empty", "17592186044416 bytes for float32 [4398046511104]",
       [] { empty({std::int64_t{1} << 42}); }},
      {"zeros", square,
       [] {
         zeros({kSide, kSide});
       }},
      {"full", square,
       [] {
         full({kSide, kSide}, 3);
       }},
      {"randn", square,
       [] {
         randn({kSide, kSide});
       }},
      {"eye", square, [] { eye(kSide); }},
      {"arange", "17592186044416 bytes for int64 [2199023255552]",
       [] { arange(std::int64_t{1} << 41); }},
      {"add", square,
       [] {
         ones({kSide, 1}) + ones({1, kSide});
       }},
      {"matmul", square,
       [] {
         ones({kSide, 1}).matmul(ones({1, kSide}));
       }},
      {"outer", square, [] { outer(ones({kSide}), ones({kSide})); }},
      {"contiguous", square,
       [] {
         ones({1, 1}).expand({kSide, kSide}).contiguous();
       }},
      {"exp", square,
       [] {
         ones({1, 1}).expand({kSide, kSide}).exp();
       }},
      {"linear", square,
       [] {
         linear(ones({kSide, 1}), ones({kSide, 1}));
       }},
      {"cat", "17592186044416 bytes for float32 [2097152, 2097152]",
       [] {
         const Tensor half = ones({1, 1}).expand({kSide, kSide / 2});
         cat({half, half}, 1);
       }},
      {"backward", square,
       [] {
         const Tensor x = ones({1, 1}).requires_grad_();
         x.expand({kSide, kSide}).sum().backward();
       }},
  };
  all.insert(all.end(), large.begin(), large.end());
#endif
  return all;
}

}  // namespace

TEST_CASE("what no memory holds is refused with its bytes and its shape, and the process goes on") {
  const AddressSpace limit;
  const std::vector<Request> all = requests();
  const auto blocks = memory_stats().live_blocks;
  std::int64_t refused = 0;
  for (const Request& request : all) {
    const std::string message = message_of<Error>(request.make);
    const Tensor x = tensor({1.0, 2.0}).requires_grad_();
    x.matmul(x).backward();
    const bool good = says(message, request.words) && x.grad().equal(tensor({2.0, 4.0}));
    CHECK_MESSAGE(good, request.what << ": " << message);
    refused += good;
  }
  CHECK(memory_stats().live_blocks == blocks);
  figure("R70", "2^44 bytes and more, sizes and strides that overflow, also around a dim of 0",
         of(refused, static_cast<std::int64_t>(all.size())) +
             " refused with bytes or shape, a training step works after each",
         refused == static_cast<std::int64_t>(all.size()));
}
