#include <retrace/autograd/call_site.h>

#include <dlfcn.h>
#include <execinfo.h>
#include <sys/auxv.h>

#include <cxxabi.h>
#include <array>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <utility>

#ifdef RETRACE_HAVE_LIBDW
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#include <unistd.h>

#include <mutex>
#include <unordered_map>
#endif

namespace retrace {
namespace {

constexpr std::size_t kDeepest = 96;  // frames: a call of ours is far less deep

/// A place in the source. Inlining puts several at one address.
struct Location {
  std::string function, file;
  int line = 0;
};

std::string demangled(const char* symbol) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> text(
      abi::__cxa_demangle(symbol, nullptr, nullptr, &status), &std::free);
  return text ? text.get() : symbol;
}

// "void ns::(anonymous namespace)::step<int>(Model&)" -> "step". What is called by its operator()
// is a lambda nearly always, and has no better name.
std::string short_name(std::string_view function) {
  std::string name;
  int depth = 0;  // of brackets
  for (std::size_t i = 0; i < function.size(); ++i) {
    const char c = function[i];
    if (depth == 0 && c == '(' && !function.substr(i).starts_with("(anonymous")) break;
    if (c == '<' || c == '(') ++depth;
    if (depth == 0 && (c == ' ' || c == ':')) name.clear();
    if (depth == 0 && c != ' ' && c != ':') name += c;
    if (c == '>' || c == ')') --depth;
  }
  if (name == "operator") return "lambda";
  return name.empty() ? std::string(function) : name;
}

// Whose code it is
// ---------------------------------------------------------------------------------

constexpr std::array<std::string_view, 9> kRooms = {
    "tensor", "autograd", "nn", "losses", "optim", "data", "trace", "train", "catalogue"};

std::string source_root() {
  std::string path = __FILE__;
  constexpr std::string_view here = "autograd/call_site.cpp";
  path.resize(path.size() - here.size());
  return path;
}

bool is_ours(std::string_view file) {
  static const std::string root = source_root();
  for (const std::string_view room : kRooms) {
    const std::string folder = std::string(room) + "/";
    if (!root.empty() && file.starts_with(root + folder)) return true;
    // A header of ours as users include it, and not one of a program that lies in a retrace/. Clang
    // names it from the folder that it compiles in.
    const std::size_t at = file.find("include/retrace/" + folder);
    if (at != file.npos && (at == 0 || file[at - 1] == '/') && file.ends_with(".h")) return true;
  }
  return false;
}

bool is_systems(std::string_view file) {
  // clang comes to the standard library from where it lies itself: /usr/bin/../lib/gcc/...
  return file.starts_with("/usr/include/") || file.starts_with("/usr/lib/") ||
         file.find("/include/c++/") != file.npos;
}

bool is_callers(const Location& location) {
  // A sanitizer stands between us and backtrace().
  if (location.function.find("__interceptor_") != std::string::npos) return false;
  if (!location.file.empty()) return !is_ours(location.file) && !is_systems(location.file);
  // Without a file: ours have no line tables in a release build, and names tell.
  const std::string_view name = location.function;
  for (const std::string_view space : {"retrace::", "std::", "__gnu_cxx::", "operator new"}) {
    const std::size_t at = name.find(space);
    // Also behind a result type, but not among the arguments.
    if (at != name.npos && at < name.find('(') && (at == 0 || name[at - 1] == ' ')) return false;
  }
  return !name.empty();
}

const void* module_of(const void* address) {
  Dl_info info;
  return dladdr(address, &info) != 0 ? info.dli_fbase : nullptr;
}

// A shared library of ours is told by its address.
bool is_in_our_library(const void* address) {
  static const void* const ours = module_of(reinterpret_cast<const void*>(&describe_call_site));
  static const void* const program = module_of(reinterpret_cast<const void*>(getauxval(AT_ENTRY)));
  return ours != program && module_of(address) == ours;
}

// What stands at an address
// ------------------------------------------------------------------------

#ifdef RETRACE_HAVE_LIBDW

/// The process's own debug information. It is opened once, and again when a library was loaded
/// since.
class DebugInformation {
 public:
  ~DebugInformation() { dwfl_end(session_); }

  /// Innermost first.
  std::vector<Location> at(const void* return_address) {
    // The call is before the address that it returns to.
    const auto address = reinterpret_cast<Dwarf_Addr>(return_address) - 1;
    Dwfl_Module* module = session_ == nullptr ? nullptr : dwfl_addrmodule(session_, address);
    if (module == nullptr) {
      open();
      module = session_ == nullptr ? nullptr : dwfl_addrmodule(session_, address);
      if (module == nullptr) return {};
    }
    std::vector<Location> locations = inlined_at(module, address);
    if (const char* symbol = dwfl_module_addrname(module, address)) {
      if (locations.empty()) locations.emplace_back();
      if (locations.back().function.empty()) locations.back().function = demangled(symbol);
    }
    return locations;
  }

 private:
  void open() {
    static const Dwfl_Callbacks callbacks = {.find_elf = dwfl_linux_proc_find_elf,
                                             .find_debuginfo = dwfl_standard_find_debuginfo,
                                             .section_address = nullptr,
                                             .debuginfo_path = nullptr};
    dwfl_end(session_);
    session_ = dwfl_begin(&callbacks);
    if (session_ == nullptr) return;
    if (dwfl_linux_proc_report(session_, getpid()) != 0 ||
        dwfl_report_end(session_, nullptr, nullptr) != 0) {
      dwfl_end(session_);
      session_ = nullptr;
    }
  }

  // The compilation unit of an address. Clang writes no table of addresses, and in one of other
  // compilers' the nearest is found: then units are asked one by one.
  static Dwarf_Die* unit_at(Dwfl_Module* module, Dwarf_Addr address, Dwarf_Addr& bias) {
    Dwarf_Die* unit = dwfl_module_addrdie(module, address, &bias);
    if (unit != nullptr && dwarf_haspc(unit, address - bias) == 1) return unit;
    unit = nullptr;
    while ((unit = dwfl_module_nextcu(module, unit, &bias)) != nullptr) {
      if (dwarf_haspc(unit, address - bias) == 1) return unit;
    }
    return nullptr;
  }

  // The functions that are inlined at an address, then the one that they are inlined into.
  static std::vector<Location> inlined_at(Dwfl_Module* module, Dwarf_Addr address) {
    Dwarf_Addr bias = 0;
    Dwarf_Die* unit = unit_at(module, address, bias);
    if (unit == nullptr) return {};
    Dwarf_Die *at_address = nullptr, *around = nullptr;
    const int found = dwarf_getscopes(unit, address - bias, &at_address);
    const std::unique_ptr<Dwarf_Die, decltype(&std::free)> innermost(at_address, &std::free);
    // From an inlined function dwarf_getscopes goes on where it was defined; what counts is where
    // it was inlined.
    const int count = found > 0 ? dwarf_getscopes_die(innermost.get(), &around) : 0;
    const std::unique_ptr<Dwarf_Die, decltype(&std::free)> scopes(around, &std::free);

    std::vector<Location> locations;
    Location next;
    if (Dwarf_Line* line = dwarf_getsrc_die(unit, address - bias)) {
      if (const char* file = dwarf_linesrc(line, nullptr, nullptr)) next.file = file;
      dwarf_lineno(line, &next.line);
    }
    Dwarf_Files* files = nullptr;
    std::size_t file_count = 0;
    dwarf_getsrcfiles(unit, &files, &file_count);
    for (int i = 0; i < count; ++i) {
      Dwarf_Die* scope = scopes.get() + i;
      const int tag = dwarf_tag(scope);
      if (tag != DW_TAG_inlined_subroutine && tag != DW_TAG_subprogram) continue;
      if (const char* name = dwarf_diename(scope)) next.function = name;
      locations.push_back(std::exchange(next, {}));
      if (tag == DW_TAG_subprogram) break;
      Dwarf_Attribute attribute;
      Dwarf_Word value = 0;
      if (dwarf_formudata(dwarf_attr(scope, DW_AT_call_line, &attribute), &value) == 0)
        next.line = static_cast<int>(value);
      if (files != nullptr &&
          dwarf_formudata(dwarf_attr(scope, DW_AT_call_file, &attribute), &value) == 0) {
        if (const char* file = dwarf_filesrc(files, value, nullptr, nullptr)) next.file = file;
      }
    }
    // With -g1 clang describes only functions that others are inlined into; the line stands alone.
    if (locations.empty() && !next.file.empty()) locations.push_back(next);
    return locations;
  }

  Dwfl* session_ = nullptr;
};

// Looked up once: that takes half a millisecond, and a recorder asks for every op.
std::vector<Location> locations_at(const void* return_address) {
  static std::mutex mutex;
  static DebugInformation information;
  static std::unordered_map<const void*, std::vector<Location>> known;
  const std::lock_guard lock(mutex);
  const auto found = known.find(return_address);
  if (found != known.end()) return found->second;
  return known.emplace(return_address, information.at(return_address)).first->second;
}

#else

std::vector<Location> locations_at(const void* return_address) {
  Dl_info info;
  if (dladdr(static_cast<const char*>(return_address) - 1, &info) == 0 || info.dli_sname == nullptr)
    return {};
  return {{demangled(info.dli_sname), {}, 0}};
}

#endif

}  // namespace

std::vector<void*> capture_call_stack() {
  std::array<void*, kDeepest> stack;
  const int count = backtrace(stack.data(), static_cast<int>(stack.size()));
  return std::vector<void*>(stack.begin(), stack.begin() + count);
}

std::string describe_call_site(const std::vector<void*>& stack) {
  for (const void* address : stack) {
    if (is_in_our_library(address)) continue;
    for (const Location& location : locations_at(address)) {
      if (!is_callers(location)) continue;
      const std::string function = short_name(location.function);
      if (location.file.empty()) return function;
      const std::string file = location.file.substr(location.file.rfind('/') + 1);
      return file + ":" + std::to_string(location.line) +
             (function.empty() ? "" : " (" + function + ")");
    }
  }
  return {};
}

}  // namespace retrace
