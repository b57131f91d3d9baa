#include <retrace/catalogue/card.h>

namespace retrace::catalogue {

const std::vector<Topic>& topics() {
  static const std::vector<Topic> all = {
      {1, "Linear layers, and why they are not enough"},
      {2, "Sigmoid"},
      {3, "Tanh"},
      {4, "ReLU"},
      {5, "Leaky ReLU and PReLU"},
      {6, "ELU and SELU"},
      {7, "GELU"},
      {8, "SiLU and Swish"},
      {9, "Mish"},
      {10, "Softmax"},
      {11, "Gated linear units"},
      {13, "Mean squared error"},
      {14, "Mean absolute error"},
      {15, "Huber's loss"},
      {16, "Quantile loss"},
      {17, "Binary cross-entropy"},
      {18, "Cross-entropy"},
      {19, "Focal loss"},
      {20, "Hinge loss"},
      {21, "Kullback-Leibler divergence"},
      {22, "Label smoothing"},
      {23, "Triplet loss"},
      {24, "Contrastive loss"},
      {25, "InfoNCE and its relatives"},
      {26, "Predicting the next token"},
      {27, "Predicting hidden tokens"},
      {28, "Perplexity"},
      {29, "Distillation"},
      {30, "Supervised fine-tuning"},
      {31, "Reward models"},
      {32, "PPO and other policy gradients"},
      {33, "DPO"},
      {34, "KTO, ORPO, SimPO and CPO"},
      {35,
       "Recipe: yes or no",
       "One output, a logit. Train with bce_with_logits, not with a sigmoid and bce_loss. Yes "
       "where "
       "the logit is above 0: the probability is then above one half.",
       {"bce_with_logits", "sigmoid", "focal_loss_binary"}},
      {36,
       "Recipe: one of several classes",
       "An output for each class, logits. Train with cross_entropy, which contains the softmax. "
       "The "
       "answer is the largest logit; raising one lowers the probability of every other.",
       {"cross_entropy", "softmax", "label_smoothing_ce"}},
      {37,
       "Recipe: any number of labels",
       "An output for each label, each a yes or no of its own. Sum over labels, mean over rows; "
       "raising one logit leaves the other probabilities as they are.",
       {"bce_with_logits", "sigmoid"}},
      {38,
       "Recipe: a number",
       "A linear output, without an activation. The loss says which number: the mean (mse_loss), "
       "the median (l1_loss), something between (huber_loss), or a quantile (quantile_loss).",
       {"mse_loss", "l1_loss", "huber_loss", "quantile_loss"}},
      {39, "Which loss asks what"},
  };
  return all;
}

}  // namespace retrace::catalogue
