#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>

#include <retrace/tensor/random.h>

namespace {

// What a test draws does not depend on which others ran before it; and it asserts something.
struct Rules final : doctest::IReporter {
  explicit Rules(const doctest::ContextOptions&) {}
  void test_case_start(const doctest::TestCaseData& test) override {
    retrace::manual_seed(1);
    name_ = test.m_name;
  }
  void test_case_end(const doctest::CurrentTestCaseStats& stats) override {
    if (stats.numAssertsCurrentTest > 0) return;
    std::fprintf(stderr, "TEST CASE: %s\nasserts nothing\n", name_);
    asserts_ = false;
  }
  void test_run_end(const doctest::TestRunStats&) override {
    if (!asserts_) std::exit(1);
  }

  void report_query(const doctest::QueryData&) override {}
  void test_run_start() override {}
  void test_case_reenter(const doctest::TestCaseData&) override {}
  void test_case_exception(const doctest::TestCaseException&) override {}
  void subcase_start(const doctest::SubcaseSignature&) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData&) override {}
  void log_message(const doctest::MessageData&) override {}
  void test_case_skipped(const doctest::TestCaseData&) override {}

 private:
  const char* name_ = "";
  bool asserts_ = true;
};

}  // namespace

REGISTER_LISTENER("rules", 1, Rules);
