// The program `retrace`: what this build is, and the catalogue of ops as a page.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include <retrace/catalogue/document.h>
#include <retrace/tensor/file.h>
#include <retrace/tensor/kernels/gemm.h>
#include <retrace/tensor/parallel.h>
#include <retrace/train/exit.h>

using namespace retrace;

namespace {

std::string version() {
  return fmt::format("retrace {}\ncompiler: {}\nBLAS: OpenBLAS, {} kernels\nthreads: {}\n",
                     RETRACE_VERSION, RETRACE_COMPILER, kernels::blas_kernels(), num_threads());
}

void write_catalogue(const std::string& headers, const std::string& out) {
  const std::string page = catalogue::document(headers);
  if (out == "-") {
    fmt::print("{}", page);
  } else {
    train::writing([&] { write_file(out, page); });
  }
}

int run(int argc, char** argv) {
  CLI::App app("Looks into Retrace", "retrace");
  app.require_subcommand(0, 1);
  app.add_flag_callback(
      "--version",
      [] {
        fmt::print("{}", version());
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

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(train::ExitCode::usage);
  }
  if (page->parsed()) {
    write_catalogue(headers, out);
  } else {
    fmt::print("{}", app.help());
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const IoError& error) {
    fmt::print(stderr, "retrace: {}\n", error.what());
    return static_cast<int>(train::ExitCode::bad_file);
  } catch (const std::exception& error) {
    fmt::print(stderr, "retrace: {}\n", error.what());
    return static_cast<int>(train::ExitCode::failure);
  }
}
