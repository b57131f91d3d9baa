#include <retrace/train/preferences.h>

#include <retrace/tensor/check.h>
#include <retrace/train/language_model.h>
#include <retrace/train/log.h>

namespace retrace::train {

data::PreferencePairs load_preferences(const std::string& path, const data::Tokenizer& tokenizer,
                                       std::int64_t context) {
  const std::vector<data::Preference> preferences = data::read_preferences(path);
  try {
    data::PreferencePairs pairs = data::encode_preferences(
        tokenizer, preferences, tokenizer.find(LanguageModel::kEnd), context);
    if (pairs.left_out > 0)
      log_warning(
          fmt::format("{}: {} of {} preferences are left out: with a response they have "
                      "more than the {} tokens that the model reads",
                      path, pairs.left_out, preferences.size(), context));
    require<ValueError>(pairs.pairs.size() >= 2,
                        "there is one preference that fits; two are needed, to train and to test");
    return pairs;
  } catch (const ValueError& error) {
    fail<IoError>("{}: {}", path, error.what());
  }
}

}  // namespace retrace::train
