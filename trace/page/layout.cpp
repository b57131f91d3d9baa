#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include <retrace/trace/page/picture.h>

#ifdef RETRACE_HAVE_GRAPHVIZ
#include <dlfcn.h>
#include <graphviz/gvc.h>
#endif
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

namespace retrace::trace::page {

void lay_out_as_list(Picture& picture) {
  constexpr double kGap = 14, kArcs = 110;
  double y = kGap, widest = 0;
  for (Box& box : picture.boxes) {
    box.x = kArcs;
    box.y = y;
    y += box.h + kGap;
    widest = std::max(widest, box.w);
  }
  for (Line& line : picture.lines) {
    const Box &from = picture.boxes[line.from], &to = picture.boxes[line.to];
    const double begin = from.y + from.h * 0.6, end = to.y + to.h * 0.4;
    const double rows = std::abs(end - begin) / (from.h + kGap);
    const double out = kArcs - std::min(kArcs - 6, 18 + 22 * std::log2(1 + rows));
    line.path = fmt::format("M{:.1f},{:.1f} C{:.1f},{:.1f} {:.1f},{:.1f} {:.1f},{:.1f}", kArcs,
                            begin, out, begin, out, end, kArcs, end);
  }
  picture.w = kArcs + widest + kGap;
  picture.h = y;
}

#ifdef RETRACE_HAVE_GRAPHVIZ

namespace {

// Loaded by the first page: no program that writes none has to start with it.
struct Graphviz {
  void* const handle = dlopen(RETRACE_GRAPHVIZ, RTLD_NOW | RTLD_LOCAL);
  bool is_whole = handle != nullptr;  // before those that find out that it is not
  decltype(&::gvContext) gvContext = get<decltype(&::gvContext)>("gvContext");
  decltype(&::gvFreeContext) gvFreeContext = get<decltype(&::gvFreeContext)>("gvFreeContext");
  decltype(&::gvLayout) gvLayout = get<decltype(&::gvLayout)>("gvLayout");
  decltype(&::gvFreeLayout) gvFreeLayout = get<decltype(&::gvFreeLayout)>("gvFreeLayout");
  decltype(&::agseterr) agseterr = get<decltype(&::agseterr)>("agseterr");
  decltype(&::agopen) agopen = get<decltype(&::agopen)>("agopen");
  decltype(&::agclose) agclose = get<decltype(&::agclose)>("agclose");
  decltype(&::agnode) agnode = get<decltype(&::agnode)>("agnode");
  decltype(&::agedge) agedge = get<decltype(&::agedge)>("agedge");
  decltype(&::agattr) agattr = get<decltype(&::agattr)>("agattr");
  decltype(&::agsubg) agsubg = get<decltype(&::agsubg)>("agsubg");
  decltype(&::agsubnode) agsubnode = get<decltype(&::agsubnode)>("agsubnode");
  decltype(&::agset) agset = get<decltype(&::agset)>("agset");
  Agdesc_t* const directed = get<Agdesc_t*>("Agdirected");

  template <class F>
  F get(const char* name) {
    void* const symbol = handle == nullptr ? nullptr : dlsym(handle, name);
    if (symbol == nullptr) is_whole = false;
    return reinterpret_cast<F>(symbol);
  }
};

const Graphviz& graphviz() {
  static const Graphviz library;
  return library;
}

// What it and the libraries behind it keep until the end is no leak of ours.
template <class F>
auto leaks_allowed(F&& f) {
#ifdef __SANITIZE_ADDRESS__
  const __lsan::ScopedDisabler scope;
#endif
  return f();
}

// Names and labels of a trace are not given to Graphviz: it would read escapes and markup in them.
class Graph {
 public:
  explicit Graph(const Picture& picture) {
    library_.agseterr(AGMAX);
    set_graph("rankdir", "LR");
    set_graph("nodesep", "0.2");
    set_graph("ranksep", "0.45");
    // Past a few hundred lines the best of all layouts takes long to find.
    if (picture.lines.size() > 400) set_graph("nslimit", "2");
    for_all_nodes("shape", "box");
    for_all_nodes("fixedsize", "true");
    for_all_nodes("label", "");
    for_all_nodes("width", "1");
    for_all_nodes("height", "1");
    for (std::size_t i = 0; i < picture.boxes.size(); ++i) {
      nodes_.push_back(library_.agnode(graph_, text(fmt::format("{}", i)), 1));
      set(nodes_[i], "width", picture.boxes[i].w);
      set(nodes_[i], "height", picture.boxes[i].h);
    }
    for (std::size_t i = 0; i < picture.lines.size(); ++i)
      lines_.push_back(library_.agedge(graph_, nodes_[picture.lines[i].from],
                                       nodes_[picture.lines[i].to], text(fmt::format("{}", i)), 1));
    frame(picture);
  }
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  ~Graph() {
    if (laid_out_) library_.gvFreeLayout(context_, graph_);
    library_.agclose(graph_);
    library_.gvFreeContext(context_);
  }

  bool lay_out() { return laid_out_ = library_.gvLayout(context_, graph_, "dot") == 0; }

  void read(Picture& picture) const {
    constexpr double kEdge = 8;
    const boxf bounds = GD_bb(graph_);
    const auto x = [&](double at) { return at - bounds.LL.x + kEdge; };
    const auto y = [&](double at) { return bounds.UR.y - at + kEdge; };  // theirs goes up
    picture.w = x(bounds.UR.x) + kEdge;
    picture.h = y(bounds.LL.y) + kEdge;
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      picture.boxes[i].x = x(ND_coord(nodes_[i]).x) - picture.boxes[i].w / 2;
      picture.boxes[i].y = y(ND_coord(nodes_[i]).y) - picture.boxes[i].h / 2;
    }
    for (std::size_t i = 0; i < frames_.size(); ++i) {
      const boxf& around = GD_bb(frames_[i]);
      Frame& frame = picture.frames[i];
      frame.x = x(around.LL.x);
      frame.y = y(around.UR.y);
      frame.w = around.UR.x - around.LL.x;
      frame.h = around.UR.y - around.LL.y;
    }
    for (std::size_t i = 0; i < lines_.size(); ++i) {
      const splines* found = ED_spl(lines_[i]);
      if (found == nullptr) continue;
      std::string& path = picture.lines[i].path;
      for (std::size_t part = 0; part < static_cast<std::size_t>(found->size); ++part) {
        const bezier& curve = found->list[part];
        for (std::size_t k = 0; k < static_cast<std::size_t>(curve.size); ++k)
          path += fmt::format("{}{:.1f},{:.1f}",
                              k == 0   ? "M"
                              : k == 1 ? " C"
                                       : " ",
                              x(curve.list[k].x), y(curve.list[k].y));
        if (curve.eflag != 0) path += fmt::format(" L{:.1f},{:.1f}", x(curve.ep.x), y(curve.ep.y));
      }
    }
  }

 private:
  // Its subgraphs whose names begin with "cluster" have a frame, the margin being room for a title.
  void frame(const Picture& picture) {
    set_graph("margin", "");
    for (std::size_t i = 0; i < picture.frames.size(); ++i) {
      Agraph_t* const outer = i == 0 ? graph_ : frames_.back();
      frames_.push_back(library_.agsubg(outer, text(fmt::format("cluster{}", i)), 1));
      std::string key = "margin";
      library_.agset(frames_.back(), key.data(), text("20"));
      for (std::size_t k = 0; k < nodes_.size(); ++k)
        if (picture.boxes[k].depth == i + 1) library_.agsubnode(frames_.back(), nodes_[k], 1);
    }
  }

  // The library takes what it does not change as char*, and keeps a copy.
  char* text(const std::string& value) { return (kept_ = value).data(); }
  void set_graph(const char* name, const std::string& value) {
    std::string key = name;
    library_.agattr(graph_, AGRAPH, key.data(), text(value));
  }
  void for_all_nodes(const char* name, const std::string& value) {
    std::string key = name;
    library_.agattr(graph_, AGNODE, key.data(), text(value));
  }
  void set(Agnode_t* node, const char* name, double points) {
    std::string key = name;
    library_.agset(node, key.data(), text(fmt::format("{:.4f}", points / 72)));
  }

  const Graphviz& library_ = graphviz();
  std::string kept_;
  GVC_t* context_ = library_.gvContext();
  Agraph_t* graph_ = library_.agopen(text("g"), *library_.directed, nullptr);
  std::vector<Agraph_t*> frames_;
  std::vector<Agnode_t*> nodes_;
  std::vector<Agedge_t*> lines_;
  bool laid_out_ = false;
};

}  // namespace

#endif

std::string lay_out(Picture& picture) {
  std::string why;
#ifdef RETRACE_HAVE_GRAPHVIZ
  if (picture.lines.size() > kLines) {
    why = fmt::format("A picture of more than {} lines is the tape as a list.", kLines);
  } else {
    why = leaks_allowed([&]() -> std::string {
      if (!graphviz().is_whole)
        return "Without Graphviz (Debian: libgvc6) the picture is the tape as a list.";
      Graph graph(picture);
      if (!graph.lay_out()) return "Graphviz cannot lay out a picture: it is the tape as a list.";
      graph.read(picture);
      return "";
    });
  }
#else
  why = "This build of Retrace has no Graphviz: the picture is the tape as a list.";
#endif
  if (!why.empty()) lay_out_as_list(picture);
  return why;
}

}  // namespace retrace::trace::page
