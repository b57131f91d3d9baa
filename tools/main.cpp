// The program `retrace`: what this build is, a trace step by step or beside another one, what is in
// a model's file, the catalogue of ops as a page (as Markdown, and as an atlas of curves), and a
// project to begin with.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>
#include <optional>
#include <sstream>

#include <retrace/catalogue/document.h>
#include <retrace/tensor/file.h>
#include <retrace/tensor/kernels/gemm.h>
#include <retrace/tensor/parallel.h>
#include <retrace/tensor/version.h>
#include <retrace/tools/atlas/page.h>
#include <retrace/tools/diff.h>
#include <retrace/tools/inspect.h>
#include <retrace/tools/new.h>
#include <retrace/tools/step.h>
#include <retrace/trace/html.h>
#include <retrace/train/exit.h>
#include <retrace/train/option_values.h>
#include <retrace/train/report.h>
#include <retrace/train/terminal.h>

using namespace retrace;

#ifdef __SANITIZE_ADDRESS__
// What ncurses keeps until the end is not ours to free.
extern "C" const char* __lsan_default_suppressions() { return "leak:libtinfo\nleak:libncurses\n"; }
extern "C" const char* __lsan_default_options() { return "print_suppressions=0"; }
#endif

namespace {

std::string about() {
  return fmt::format("retrace {}\ncompiler: {}\nBLAS: OpenBLAS, {} kernels\nthreads: {}\n",
                     retrace::version(), RETRACE_COMPILER, kernels::blas_kernels(), num_threads());
}

// In place of a file that begins with another line nothing is written: it is no `what`.
void write(const std::string& out, const std::string& text, const char* what) {
  train::require_own(out, text.substr(0, text.find('\n')), what);
  if (out == "-") {
    train::print(text);
  } else {
    train::writing([&] { write_file(out, text); });
  }
}

void write_atlas(const std::string& out) {
  const atlas::Page page = atlas::page();
  write(out, page.html, "page");
  fmt::print(stderr, "{}: {} cards, {:.1f} MB\n", out, page.cards,
             static_cast<double>(page.html.size()) / 1e6);
}

void write_page(const std::string& trace, const std::string& out) {
  if (out != "-") train::require_apart({"TRACE", trace}, {"--out", out});
  const trace::HtmlPage page = trace::html_page(trace::Trace::load(trace));
  write(out, page.html, "page");
  fmt::print(stderr, "{}: {}\n", out, page.about);
}

// `failure`: what to return for a failure, which each command may have its own of.
int run(int argc, char** argv, train::ExitCode& failure) {
  CLI::App app("Looks into Retrace", "retrace");
  app.require_subcommand(0, 1);
  app.add_flag_callback(
      "--version",
      [] {
        train::print(about());
        throw CLI::Success();
      },
      "compiler, BLAS, its kernels and threads");

  std::string headers, out = "-";
  CLI::App* page =
      app.add_subcommand("catalogue", "Writes the catalogue of ops and losses as Markdown");
  page->add_option("--headers", headers,
                   "folder of the headers: the source tree, or include/retrace")
      ->required();
  page->add_option("-o,--out", out, "file to write; - is standard output")->capture_default_str();

  std::string trace;
  std::optional<std::string> script;
  bool plain = false;
  CLI::App* walk = app.add_subcommand(
      "step", "Walks through a trace, that --trace of the examples or a trace::Recorder wrote");
  walk->add_option("TRACE", trace, "the file")->required();
  walk->add_flag("--plain", plain,
                 "print all steps, a paragraph each, as it does without a terminal");
  walk->add_option("--script", script,
                   "keys with spaces between them, and what each shows: n p N P (next and previous "
                   "step, in this node), g 17 (go to), /tanh (search), c (collapse the module), t "
                   "(tensors), Home, End, q");

  std::string trace_a, trace_b;
  double tolerance = 0;
  CLI::App* diff = app.add_subcommand(
      "diff",
      "Compares two traces: where they part first, and how far. Ends with 0 when they are the "
      "same, with 1 when they are not, with 2 for a wrong call, with 3 for a file that is no "
      "trace, "
      "with 6 when something else failed");
  diff->preparse_callback([&failure](std::size_t) { failure = train::ExitCode::diff_failure; });
  diff->add_option("A", trace_a, "the file of one")->required();
  diff->add_option("B", trace_b, "and of the other")->required();
  diff->add_option("--tolerance", tolerance,
                   "how much a number may differ, relative to the largest of its tensor; 0: not a "
                   "bit. With a tolerance dtypes may differ, too")
      ->capture_default_str();

  std::string atlas_out;
  CLI::App* atlas = app.add_subcommand(
      "atlas", "Writes a page with a card for each activation and each loss: curves to play with");
  atlas->add_option("-o,--out", atlas_out, "file to write; - is standard output")->required();

  std::string recorded, html_out;
  CLI::App* html = app.add_subcommand(
      "html", "Writes a page that steps through a trace, forwards and backwards");
  html->add_option("TRACE", recorded, "the file")->required();
  html->add_option("-o,--out", html_out, "file to write; - is standard output")->required();

  std::string model;
  CLI::App* inspect = app.add_subcommand(
      "inspect", "Lists what is in a model's file: tensors with their shapes and ranges, metadata");
  inspect->add_option("MODEL", model, "the file, .safetensors")->required();

  std::string project;
  CLI::App* make = app.add_subcommand(
      "new", "Makes a folder with a program to change into your own: model, data, loss");
  make->add_option("NAME", project, "of the folder and the program")->required();

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::ostringstream help;
    const int code = app.exit(error, help, std::cerr);
    train::print(help.str());
    return code == 0 ? 0 : static_cast<int>(train::ExitCode::usage);
  }
  if (page->parsed()) {
    write(out, catalogue::document(headers), "catalogue");
  } else if (walk->parsed()) {
    tools::step(trace, plain, script);
  } else if (diff->parsed()) {
    return tools::diff(trace_a, trace_b, tolerance) ? 0 : 1;
  } else if (html->parsed()) {
    write_page(recorded, html_out);
  } else if (atlas->parsed()) {
    write_atlas(atlas_out);
  } else if (inspect->parsed()) {
    train::print(tools::inspect(model));
  } else if (make->parsed()) {
    train::print(tools::make_project(project));
  } else {
    train::print(app.help());
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  train::ExitCode failure = train::ExitCode::failure;
  try {
    return run(argc, argv, failure);
  } catch (const IoError& error) {
    fmt::print(stderr, "retrace: {}\n", error.what());
    return static_cast<int>(train::ExitCode::bad_file);
  } catch (const train::UsageError& error) {
    fmt::print(stderr, "retrace: {}\n", error.what());
    return static_cast<int>(train::ExitCode::usage);
  } catch (const std::exception& error) {
    fmt::print(stderr, "retrace: {}\n", error.what());
    return static_cast<int>(failure);
  }
}
