#include <retrace/train/distributed.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <exception>
#include <optional>
#include <thread>
#include <unordered_map>

#include <retrace/autograd/backprop.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/random.h>
#include <retrace/tensor/view.h>
#include <retrace/train/exit.h>
#include <retrace/train/interrupt.h>
#include <retrace/train/own_draws.h>

#ifdef RETRACE_HAVE_MPI
#define OMPI_SKIP_MPICXX 1
#define MPICH_SKIP_MPICXX 1
#include <mpi.h>
#endif

namespace retrace::train {
namespace {

struct Range {
  std::int64_t begin, end;
};
Range part_of(std::int64_t n, int rank, int count) {
  return {n * rank / count, n * (rank + 1) / count};
}

}  // namespace

#ifdef RETRACE_HAVE_MPI

namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kPatience = std::chrono::seconds(120);
// mpirun tells all processes to end when one is gone, and kills them soon after.
constexpr auto kGrace = std::chrono::milliseconds(300);

constexpr int kScalars = 0, kBroadcast = 1, kBuckets = 2;   // tags; two for each bucket
constexpr std::int64_t kMostBytes = std::int64_t{1} << 30;  // of a message

}  // namespace

struct Ranks::Requests {
  std::vector<MPI_Request> all;
  void send(const void* from, std::int64_t bytes, int to, int tag) {
    all.emplace_back();
    MPI_Isend(from, static_cast<int>(bytes), MPI_BYTE, to, tag, MPI_COMM_WORLD, &all.back());
  }
  void receive(void* to, std::int64_t bytes, int from, int tag) {
    all.emplace_back();
    MPI_Irecv(to, static_cast<int>(bytes), MPI_BYTE, from, tag, MPI_COMM_WORLD, &all.back());
  }
  bool done() {
    int flag = 0;
    MPI_Testall(static_cast<int>(all.size()), all.data(), &flag, MPI_STATUSES_IGNORE);
    if (flag != 0) all.clear();
    return flag != 0;
  }
};

Ranks::Ranks() {
  int started = 0;
  MPI_Initialized(&started);
  if (started == 0) MPI_Init(nullptr, nullptr);
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
  MPI_Comm_size(MPI_COMM_WORLD, &count_);
}

Ranks::~Ranks() {
  if (std::uncaught_exceptions() == 0) end();
}

void Ranks::end() {
  int finished = 0;
  MPI_Finalized(&finished);
  if (finished == 0) MPI_Finalize();
}

void Ranks::abandon(int exit_code) {
  int started = 0, finished = 0;
  MPI_Initialized(&started);
  MPI_Finalized(&finished);
  if (started == 0 || finished != 0) return;
  // An error that all have alike is told by each before the first one gets here.
  std::this_thread::sleep_for(kGrace);
  MPI_Abort(MPI_COMM_WORLD, exit_code);
}

int Ranks::count_here() const {
  MPI_Comm here = MPI_COMM_NULL;
  MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &here);
  int count = 1;
  MPI_Comm_size(here, &count);
  MPI_Comm_free(&here);
  return count;
}

void Ranks::wait(Requests& requests) {
  const auto start = Clock::now();
  std::optional<Clock::time_point> told;
  while (!requests.done()) {
    const auto now = Clock::now();
    if (!told && InterruptGuard::signal() != 0) told = now;
    const bool is_lost = (told && now - *told > kGrace) || now - start > kPatience;
    if (is_lost) {
      for (MPI_Request& request : requests.all) {
        if (request == MPI_REQUEST_NULL) continue;
        MPI_Cancel(&request);
        MPI_Request_free(&request);
      }
      requests.all.clear();
      throw RankLost(
          told ? fmt::format("rank {} of {}: told to stop while it waited for the others; one of "
                             "them has ended",
                             rank_, count_)
               : fmt::format("rank {} of {}: the others have not answered for {} seconds", rank_,
                             count_, kPatience.count()));
    }
    std::this_thread::yield();
  }
  waited_ += std::chrono::duration<double>(Clock::now() - start).count();
}

void Ranks::broadcast(const std::vector<Tensor>& tensors) {
  for (const Tensor& tensor : tensors) {
    const Tensor dense = tensor.is_contiguous() ? tensor : contiguous_copy(tensor);
    const std::int64_t bytes = dense.numel() * size_of(dense.dtype());
    for (std::int64_t at = 0; at < bytes; at += kMostBytes) {
      const std::int64_t some = std::min(bytes - at, kMostBytes);
      Requests requests;
      if (!is_first()) requests.receive(dense.get().data + at, some, 0, kBroadcast);
      for (int to = 1; is_first() && to < count_; ++to)
        requests.send(dense.get().data + at, some, to, kBroadcast);
      wait(requests);
    }
    const NoGradGuard no_grad;
    if (!is_first() && !dense.is_same(tensor)) Tensor(tensor).copy_(dense);
  }
}

std::vector<double> Ranks::gather(std::span<const double> values) {
  const auto n = static_cast<std::int64_t>(values.size());
  std::vector<double> all(values.size() * static_cast<std::size_t>(count_));
  const auto of = [&](int rank) { return all.data() + rank * n; };
  std::copy(values.begin(), values.end(), of(rank_));
  Requests requests;
  for (int other = 0; other < count_; ++other) {
    if (other == rank_) continue;
    requests.receive(of(other), n * 8, other, kScalars);
    requests.send(of(rank_), n * 8, other, kScalars);
  }
  wait(requests);
  return all;
}

// A part of the parameters, all of one dtype, and behind their gradients for each a 1 if there is
// one. Each process adds up a part of the numbers, and sends all the sums.
struct GradientSum::Bucket {
  std::vector<Tensor> parameters;
  std::int64_t numbers = 0;
  Tensor sum, others;   // [numbers + flags]; what comes from other processes of this one's part
  std::size_t end = 0;  // so many nodes of the pass behind us, and the gradients are complete
  int tag = 0;
  enum class State { waiting, adding, sending } state = State::waiting;
  bool is_sent = false;  // in this pass
  Ranks::Requests requests = {};

  // Leaves with hooks get theirs when the pass is over.
  bool has_all_gradients() const {
    return std::all_of(parameters.begin(), parameters.end(),
                       [](const Tensor& x) { return x.grad().defined(); });
  }

  DType dtype() const { return parameters.front().dtype(); }
  std::int64_t size() const { return numbers + std::ssize(parameters); }

  void fill(double factor) {
    const NoGradGuard no_grad;
    if (!sum.defined()) sum = empty({size()}, dtype());
    std::int64_t at = 0;
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      const Tensor& gradient = parameters[i].grad();
      const std::int64_t n = parameters[i].numel();
      Tensor to = sum.narrow(0, at, n);
      if (gradient.defined()) {
        to.copy_(gradient.reshape({n}));
        to.mul_(factor);
      } else {
        to.zero_();
      }
      sum.narrow(0, numbers + static_cast<std::int64_t>(i), 1).fill_(gradient.defined() ? 1 : 0);
      at += n;
    }
  }

  std::byte* at(const Tensor& x, std::int64_t element) const {
    return x.get().data + element * size_of(dtype());
  }

  void start_adding(const Ranks& ranks) {
    const int count = ranks.count(), rank = ranks.rank();
    const Range mine = part_of(size(), rank, count);
    const std::int64_t n = mine.end - mine.begin, width = size_of(dtype());
    if (!others.defined()) others = empty({count, std::max<std::int64_t>(n, 1)}, dtype());
    for (int other = 0; other < count; ++other) {
      if (other == rank) continue;
      const Range theirs = part_of(size(), other, count);
      requests.receive(at(others, other * n), n * width, other, tag);
      requests.send(at(sum, theirs.begin), (theirs.end - theirs.begin) * width, other, tag);
    }
    state = State::adding;
    is_sent = true;
  }

  void add_and_send(const Ranks& ranks) {
    const NoGradGuard no_grad;
    const int count = ranks.count(), rank = ranks.rank();
    const Range mine = part_of(size(), rank, count);
    const std::int64_t n = mine.end - mine.begin, width = size_of(dtype());
    Tensor total = sum.narrow(0, mine.begin, n);
    const Tensor own = total.clone();
    for (int from = 0; from < count && n > 0; ++from) {
      const Tensor part = from == rank ? own : others[from].narrow(0, 0, n);
      from == 0 ? total.copy_(part) : total.add_(part);
    }
    for (int other = 0; other < count; ++other) {
      if (other == rank) continue;
      const Range theirs = part_of(size(), other, count);
      requests.receive(at(sum, theirs.begin), (theirs.end - theirs.begin) * width, other, tag + 1);
      requests.send(at(sum, mine.begin), n * width, other, tag + 1);
    }
    state = State::sending;
  }

  void give_back() {
    const NoGradGuard no_grad;
    std::int64_t at = 0;
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      const std::int64_t n = parameters[i].numel();
      const Tensor from = sum.narrow(0, at, n).view(parameters[i].sizes());
      const bool is_given =
          sum.narrow(0, numbers + static_cast<std::int64_t>(i), 1).item<double>() > 0;
      parameters[i].set_grad(is_given ? from.clone() : Tensor());
      at += n;
    }
    state = State::waiting;
  }
};

GradientSum::GradientSum(Ranks& ranks, std::vector<Tensor> parameters, std::int64_t bucket_bytes)
    : ranks_(ranks) {
  // The last parameters get their gradients first.
  std::reverse(parameters.begin(), parameters.end());
  for (const Tensor& parameter : parameters) {
    const std::int64_t bytes = parameter.numel() * size_of(parameter.dtype());
    const bool fits = !buckets_.empty() && buckets_.back()->dtype() == parameter.dtype() &&
                      buckets_.back()->size() * size_of(parameter.dtype()) + bytes <= bucket_bytes;
    if (!fits) {
      buckets_.push_back(std::make_unique<Bucket>());
      buckets_.back()->tag = kBuckets + 2 * static_cast<int>(buckets_.size());
    }
    buckets_.back()->parameters.push_back(parameter);
    buckets_.back()->numbers += parameter.numel();
  }
}

GradientSum::~GradientSum() = default;

// Of each bucket, the last node that gives one of its parameters something.
void GradientSum::set_ends(const std::vector<Ref<Node>>& tape) {
  std::unordered_map<const TensorData*, std::size_t> ends;
  for (std::size_t at = 0; at < tape.size(); ++at) {
    for (std::size_t i = 0; i < tape[at]->inputs(); ++i)
      if (const Edge& edge = tape[at]->input(i); edge.leaf) ends[edge.leaf.get()] = at + 1;
  }
  for (const auto& bucket : buckets_) {
    bucket->end = 0;
    for (const Tensor& parameter : bucket->parameters) {
      const auto found = ends.find(&parameter.get());
      if (found != ends.end()) bucket->end = std::max(bucket->end, found->second);
    }
  }
}

void GradientSum::start(std::size_t behind, bool all) {
  for (const auto& bucket : buckets_) {
    if (bucket->state == Bucket::State::waiting && !bucket->is_sent && bucket->end <= behind &&
        (all || bucket->has_all_gradients())) {
      bucket->fill(factor_);
      bucket->start_adding(ranks_);
    } else if (bucket->state == Bucket::State::adding && bucket->requests.done()) {
      bucket->add_and_send(ranks_);
    }
  }
}

SharedBatch GradientSum::backward(const BatchLoss& local) {
  const double samples = local.weight();
  Generator& generator = default_generator();
  const std::vector<double> all = ranks_.gather(std::array{
      samples, samples * local.loss.item<double>(), static_cast<double>(InterruptGuard::signal()),
      static_cast<double>(common_position(generator))});
  SharedBatch shared;
  double farthest = 0;
  for (std::size_t i = 0; i < all.size(); i += 4) {
    shared.samples += all[i];
    shared.loss += all[i + 1];
    if (shared.signal == 0) shared.signal = static_cast<int>(all[i + 2]);
    farthest = std::max(farthest, all[i + 3]);
  }
  shared.loss /= shared.samples;
  factor_ = samples / shared.samples;
  generator.set_state(generator.seed(), static_cast<std::uint64_t>(farthest));

  Backprop pass(local.loss);
  set_ends(pass.tape());
  std::vector<std::size_t> ends;
  for (const auto& bucket : buckets_) {
    bucket->is_sent = false;
    ends.push_back(bucket->end);
  }
  std::sort(ends.begin(), ends.end());
  for (const std::size_t end : ends) {
    pass.run(end);
    start(pass.position(), false);
  }
  pass.run();
  start(pass.position(), true);
  for (const auto& bucket : buckets_) {
    if (bucket->state == Bucket::State::adding) {
      ranks_.wait(bucket->requests);
      bucket->add_and_send(ranks_);
    }
  }
  for (const auto& bucket : buckets_) {
    ranks_.wait(bucket->requests);
    bucket->give_back();
  }
  return shared;
}

#else

struct Ranks::Requests {};
struct GradientSum::Bucket {};

Ranks::Ranks() {
  throw UsageError(
      "--distributed: this build has no MPI; install it (Debian: libopenmpi-dev openmpi-bin) and "
      "configure with -DRETRACE_MPI=ON");
}
Ranks::~Ranks() = default;
void Ranks::end() {}
void Ranks::abandon(int) {}
int Ranks::count_here() const { return 1; }
void Ranks::broadcast(const std::vector<Tensor>&) {}
std::vector<double> Ranks::gather(std::span<const double> values) {
  return {values.begin(), values.end()};
}
void Ranks::wait(Requests&) {}

GradientSum::GradientSum(Ranks& ranks, std::vector<Tensor>, std::int64_t) : ranks_(ranks) {}
GradientSum::~GradientSum() = default;
void GradientSum::set_ends(const std::vector<Ref<Node>>&) {}
void GradientSum::start(std::size_t, bool) {}
SharedBatch GradientSum::backward(const BatchLoss& local) {
  local.loss.backward();
  return {local.loss.item<double>(), local.weight(), InterruptGuard::signal()};
}

#endif

data::TensorDataset Ranks::part(const data::TensorDataset& batch) {
  require<UsageError>(batch.size() >= count_,
                      "--distributed: a batch of {} rows for {} processes; take a larger "
                      "--batch-size, or fewer processes",
                      batch.size(), count_);
  draw_apart(default_generator(), rank_);
  const Range rows = part_of(batch.size(), rank_, count_);
  return {batch.inputs.narrow(0, rows.begin, rows.end - rows.begin),
          batch.targets.narrow(0, rows.begin, rows.end - rows.begin)};
}

}  // namespace retrace::train
