// A trace: refused with a message, or read again from what it writes, told step by step, walked
// forwards and backwards, and equal to itself.

#include <retrace/tests/fuzz/target.h>
#include <retrace/trace/compare.h>
#include <retrace/trace/story.h>
#include <retrace/trace/trace.h>

using namespace retrace;

namespace {

void tell(const trace::Trace& trace) {
  const trace::Story story(trace);
  for (std::size_t k = 0; k < story.size(); ++k) {
    const std::string title = story.title(k);
    fuzz::expect(title.find('\n') == std::string::npos, "a title is a line: {}", title);
    fuzz::expect(story.text(k).starts_with(title), "a text begins with its title");
    for (const auto& [name, id] : story.tensors(k)) trace::table(trace.numbers.at(id));
    const trace::Id node = story.node(k);
    if (node != trace::kNone) fuzz::expect(story.involves(k, node), "a step involves its node");
    static_cast<void>(story.is_non_finite(k));
  }
}

void walk(const trace::Trace& trace) {
  trace::State state(trace);
  for (const std::size_t events : {trace.events.size(), trace.events.size() / 2, std::size_t{0}})
    state.go_to(events);
  for (trace::Id node = 0; node < trace.nodes.size(); ++node)
    fuzz::expect(state.of(node).value == trace::kNone, "at the start nothing is known");
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  trace::Trace trace;
  const auto text = fuzz::text_of(data, size);
  if (!fuzz::accepts("file", [&] { trace = trace::Trace::parse(text, "file"); })) return 0;
  const std::string json = trace.json();
  fuzz::expect(fuzz::accepted([&] { return trace::Trace::parse(json, "file"); }).json() == json,
               "a trace is kept");
  fuzz::expect(trace::compare(trace, trace).same(), "a trace is equal to itself");
  tell(trace);
  walk(trace);
  return 0;
}
