#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <retrace/tensor/random.h>

namespace {

// SKIP_RETURN_CODE in CMakeLists.txt.
constexpr int kSkipped = 77;

// What a test draws does not depend on which others ran before it; and it asserts something, or
// says that it is skipped. A program that runs no case has not passed: neither where none fits its
// filters, nor where all are skipped.
struct Rules final : doctest::IReporter {
  explicit Rules(const doctest::ContextOptions&) {}
  void test_case_start(const doctest::TestCaseData& test) override {
    retrace::manual_seed(1);
    name_ = test.m_name;
    says_skipped_ = false;
  }
  void log_message(const doctest::MessageData& message) override {
    says_skipped_ |= std::strncmp(message.m_string.c_str(), "skipped: ", 9) == 0;
  }
  void test_case_end(const doctest::CurrentTestCaseStats& stats) override {
    if (stats.numAssertsCurrentTest > 0) return;
    if (says_skipped_) {
      ++skipped_;
      return;
    }
    std::fprintf(stderr, "TEST CASE: %s\nasserts nothing\n", name_);
    asserts_ = false;
  }
  void test_run_end(const doctest::TestRunStats& run) override {
    if (run.numTestCasesPassingFilters == 0)
      std::fprintf(stderr, "no test case fits the filters\n");
    if (!asserts_ || run.numTestCasesPassingFilters == 0) std::exit(1);
    if (skipped_ == run.numTestCasesPassingFilters && run.numTestCasesFailed == 0)
      std::exit(kSkipped);
  }

  void report_query(const doctest::QueryData&) override {}
  void test_run_start() override {}
  void test_case_reenter(const doctest::TestCaseData&) override {}
  void test_case_exception(const doctest::TestCaseException&) override {}
  void subcase_start(const doctest::SubcaseSignature&) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData&) override {}
  void test_case_skipped(const doctest::TestCaseData&) override {}

 private:
  const char* name_ = "";
  bool asserts_ = true, says_skipped_ = false;
  unsigned skipped_ = 0;
};

}  // namespace

REGISTER_LISTENER("rules", 1, Rules);
