// `retrace diff`: what it prints, and with which code it ends.
#include <doctest/doctest.h>

#include <retrace/tensor/creation.h>
#include <retrace/tensor/file.h>
#include <retrace/tensor/safetensors.h>
#include <retrace/tests/tools/traces.h>

using namespace retrace;
using namespace retrace::testing;

namespace {

struct Files {
  TemporaryFolder folder;
  std::string a = folder / "a.json", b = folder / "b.json";
  Files(const trace::Trace& of_a, const trace::Trace& of_b) { of_a.save(a), of_b.save(b); }
  Outcome diff(std::vector<std::string> more = {}) const {
    more.insert(more.begin(), {"diff", a, b});
    const Outcome outcome = run_tool(more);
    CHECK(!says(outcome.out, folder / ""));  // the same wherever the files lie
    return outcome;
  }
};

trace::Trace one(double value, const char* name = "w") {
  trace::Recorder recorder({.program = "one"});
  const Tensor w = tensor({value, 2.0}, kFloat64).requires_grad_();
  recorder.name(w, name);
  (w * w).sum().backward();
  return recorder.trace();
}

// Of w a corner is kept, and of its gradient; `value` is in neither.
trace::Trace large(float value) {
  Tensor w = linspace(-3.5, 3.5, 64 * 65).reshape({64, 65}).clone();
  w[40][40].fill_(value);
  w.requires_grad_();
  trace::Recorder recorder({.program = "large"});
  recorder.name(w, "w");
  (w * w).sum().backward();
  return recorder.trace();
}

trace::Trace without_hashes(trace::Trace trace) {
  for (trace::Numbers& each : trace.numbers) each.hash.reset();
  return trace;
}

}  // namespace

TEST_CASE("traces of two runs of a program are the same: exit code 0, and nothing to look at") {
  const Outcome outcome = Files(xor_trace(), xor_trace()).diff();
  CHECK(outcome.code == 0);
  CHECK(outcome.err.empty());
  CHECK(outcome.out.starts_with("A: a run of xor, "));
  CHECK(says(outcome.out, " numbers and tensors are the same, bit for bit.\n"));
  CHECK(!says(outcome.out, "largest difference"));
}

TEST_CASE("what differs is told from where it begins to how far it goes: exit code 1") {
  const Files files(one(1.0), one(1.5));
  const Outcome outcome = files.diff();
  CHECK(outcome.code == 1);
  CHECK(outcome.err.empty());
  CHECK(
      outcome.out ==
      "A: a run of one, 6 steps over 3 tensors\n"
      "B: a run of one, 6 steps over 3 tensors\n"
      "\n"
      "12 of 20 numbers and tensors are not the same, bit for bit. The first is at\n"
      "  step 1: w [2] is used for the first time\n"
      "  the value, float64 [2]: element [0] is 1 in A, and 1.5 in B; apart by 0.5, relative 0.25\n"
      "  1 of 2 elements differ\n"
      "\n"
      "largest difference                value             gradient               update\n"
      "                     absolute  relative   absolute  relative   absolute  relative\n"
      "w                         0.5      0.25          1      0.25          -         -\n"
      "loss                     1.25       0.2          -         -          -         -\n");
  CHECK(files.diff().out == outcome.out);
}

TEST_CASE("a tolerance lets small differences pass, and still shows them") {
  const Files files(one(1.0), one(1.0 + 1e-9));
  CHECK(files.diff().code == 1);
  CHECK(files.diff({"--tolerance", "1e-10"}).code == 1);
  const Outcome outcome = files.diff({"--tolerance", "1e-8"});
  CHECK(outcome.code == 0);
  CHECK(says(outcome.out, "are the same, within a tolerance of 1e-08.\n"));
  CHECK(says(outcome.out, "w                       1e-09     5e-10"));
}

TEST_CASE("what was not kept is the same by its hash, or not known to be: never bit for bit") {
  const Outcome same = Files(large(3), large(3)).diff();
  CHECK(same.code == 0);
  CHECK(says(same.out, "All 20 numbers and tensors are the same, bit for bit.\n"));
  CHECK(!says(same.out, "largest difference"));

  Outcome outcome = Files(large(3), without_hashes(large(3))).diff();
  CHECK(outcome.code == 0);
  CHECK(!says(outcome.out, "bit for bit"));
  CHECK(says(outcome.out,
             "\nIn 20 numbers and tensors no difference was found.\n"
             "Of 16 of them only a corner and a summary were compared: elements that were not kept "
             "may differ.\n"));

  const Files files(large(3), large(-3));
  outcome = files.diff();
  CHECK(outcome.code == 1);
  CHECK(says(outcome.out, " of 20 numbers and tensors are not the same, bit for bit."));
  outcome = files.diff({"--tolerance", "0.001"});
  CHECK(outcome.code == 0);
  CHECK(says(outcome.out,
             "\nIn 20 numbers and tensors no difference beyond a tolerance of 0.001 was found.\n"
             "Of 10 of them only a corner and a summary were compared: elements that were not kept "
             "may differ by more.\n"
             "\n"
             "largest difference                value             gradient               update\n"
             "                     absolute  relative   absolute  relative   absolute  relative\n"
             "w                          0*        0*         0*        0*          -         -\n"
             "loss                        0         0          -         -          -         -\n"
             "* of the elements that were kept; others may lie further apart\n"));
}

TEST_CASE("another structure is told in words, the first difference of it first") {
  const Outcome outcome = Files(xor_trace(), mlp_trace()).diff();
  CHECK(outcome.code == 1);
  CHECK(
      says(outcome.out, "What was computed is not the same. The first difference is at\n  step 2"));
  const Outcome renamed = Files(one(1.0), one(1.0, "v\x1b[31m")).diff();
  CHECK(renamed.code == 1);
  CHECK(says(renamed.out, "A has w [2] is used for the first time, where B has v?[31m"));
  CHECK(says(renamed.out, "All 19 comparable numbers and tensors are the same, bit for bit.\n"));
}

TEST_CASE("files that are no traces and calls that make no sense have codes of their own") {
  const Files files(one(1.0), one(1.0));
  for (const char* wrong : {"-1", "nan", "inf", "much"}) {
    CAPTURE(wrong);
    const Outcome outcome = files.diff({std::string("--tolerance=") + wrong});
    CHECK(outcome.code == 2);
    CHECK(says(outcome.err, "--tolerance"));
    CHECK(outcome.out.empty());
  }
  CHECK(run_tool({"diff", files.a}).code == 2);
  const TemporaryFolder folder;
  write_file(folder / "cut.json", contents_of(files.a).substr(0, 400));
  for (const bool first : {true, false}) {
    const std::string cut = folder / "cut.json";
    const Outcome outcome = run_tool({"diff", first ? cut : files.a, first ? files.a : cut});
    CHECK(outcome.code == 3);
    CHECK(outcome.out.empty());
    CHECK(is_one_line(outcome.err));
    CHECK(says(outcome.err, "cut.json: a trace that is cut off after 400 bytes"));
  }
  CHECK(run_tool({"diff", files.a, folder / "none.json"}).code == 3);
}

TEST_CASE("what standard output does not take is an error, whatever the tool writes") {
  const Files files(one(1), one(1));
  const std::string model = files.folder / "model.safetensors";
  save_safetensors(model, {{"w", ones({2})}});
  const std::string tool = build_folder() + "/tools/retrace";
  const std::vector<std::vector<std::string>> calls = {{"--help"},
                                                       {"--version"},
                                                       {"diff", "--help"},
                                                       {"inspect", model},
                                                       {"diff", files.a, files.b},
                                                       {"step", files.a, "--plain"},
                                                       {"atlas", "-o", "-"},
                                                       {"html", files.a, "-o", "-"}};
  for (std::vector<std::string> call : calls) {
    CAPTURE(call);
    call.insert(call.begin(), {"-c", "exec \"$0\" \"$@\" > /dev/full", tool});
    Process process("/bin/sh", call, files.folder / "out", files.folder / "err");
    CHECK(process.wait() == (call[3] == "diff" ? 6 : 1));  // 1 of diff: they are not the same
    CHECK(says(contents_of(files.folder / "err"),
               "retrace: standard output: cannot write: No space left on device"));
  }
}

TEST_CASE("no command writes over what it reads, by whatever name") {
  namespace fs = std::filesystem;
  const Files files(one(1), one(1));
  const std::string before = contents_of(files.a);
  const std::string link = files.folder / "link.json", hard = files.folder / "hard.json";
  fs::create_symlink(files.a, link), fs::create_hard_link(files.a, hard);
  for (const std::string& out : {files.a, files.folder / "./a.json", link, hard}) {
    for (const bool turned : {false, true}) {
      const std::string &in = turned ? out : files.a, &page = turned ? files.a : out;
      CAPTURE(in);
      CAPTURE(page);
      const Outcome outcome = run_tool({"html", in, "-o", page});
      CHECK(outcome.code == 2);
      CHECK(outcome.err == "retrace: TRACE and --out name the same file\n");
      CHECK(contents_of(files.a) == before);
    }
  }
  CHECK(run_tool({"html", files.a, "-o", "-"}).code == 0);
}

TEST_CASE("no command writes over a file of another kind, by whatever link") {
  namespace fs = std::filesystem;
  const Files files(one(1), one(1));
  const std::string header = files.folder.put("ops.h", "#pragma once\n");
  const std::string link = files.folder / "link", page = files.folder.put("page.html", ""),
                    markdown = files.folder / "ops.md";
  fs::create_symlink(header, link);
  const std::vector<std::string> writers[] = {{"html", files.a, "-o"},
                                              {"atlas", "-o"},
                                              {"catalogue", "--headers", RETRACE_SOURCE_DIR, "-o"}};
  const auto write = [](std::vector<std::string> call, const std::string& out) {
    call.push_back(out);
    return run_tool(call);
  };
  // What is there when its kind is written: nothing, an empty file, and then its own.
  for (int times = 0; times < 2; ++times) {
    CHECK(write(writers[0], page).code == 0);
    CHECK(write(writers[1], page).code == 0);
    CHECK(write(writers[2], markdown).code == 0);
  }
  for (const std::vector<std::string>& writer : writers) {
    for (const std::string& out :
         {files.b, header, link, writer[0] == "catalogue" ? page : markdown}) {
      CAPTURE(writer[0]);
      CAPTURE(out);
      const std::string before = contents_of(out);
      const Outcome outcome = write(writer, out);
      CHECK(outcome.code == 1);
      CHECK(outcome.err.starts_with("retrace: " + out + ": is there already, and is no "));
      CHECK(contents_of(out) == before);
    }
  }
}
