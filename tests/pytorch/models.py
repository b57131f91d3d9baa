"""The models of models.h, as one writes them in PyTorch, under the same names and trained by the same steps."""

import copy
import math

import torch
from torch import nn
from torch.nn import functional as F


# MLP


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(20, 64), nn.ReLU(), nn.Dropout(0.0), nn.Linear(64, 32),
            nn.LayerNorm(32), nn.Tanh(), nn.Linear(32, 5))

    def forward(self, x):
        return self.layers(x)


def train_mlp(model, inputs, labels):
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=10, eta_min=1e-4)
    weight = torch.tensor([1.0, 2.0, 0.5, 1.0, 1.5], dtype=inputs.dtype)
    history = []
    for step in range(len(inputs)):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(inputs[step]), labels[step], weight=weight, label_smoothing=0.1)
        loss.backward()
        optimizer.step()
        schedule.step()
        history.append(loss.item())
    model.eval()
    with torch.no_grad():
        return history, model(inputs[0])


# CNN


class Cnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1)
        self.norm1 = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 16, 3, stride=2, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(16)
        self.fc = nn.Linear(16, 10)

    def forward(self, images):
        x = F.max_pool2d(F.relu(self.norm1(self.conv1(images))), 2)
        x = F.silu(self.norm2(self.conv2(x)))
        x = F.adaptive_avg_pool2d(x, 1).flatten(1)
        return self.fc(x)


def train_cnn(model, inputs, labels):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4,
                                nesterov=True)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=4, gamma=0.5)
    history = []
    for step in range(len(inputs)):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(inputs[step]), labels[step])
        loss.backward()
        optimizer.step()
        schedule.step()
        history.append(loss.item())
    model.eval()
    with torch.no_grad():
        return history, model(inputs[0])


# GPT

VOCABULARY, CONTEXT, LAYERS, HEADS, WIDTH = 40, 16, 2, 4, 32


class CausalSelfAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.proj = nn.Linear(WIDTH, WIDTH)

    def forward(self, x):
        rows, steps, _ = x.shape
        q, k, v = (part.view(rows, steps, HEADS, WIDTH // HEADS).transpose(1, 2)
                   for part in self.qkv(x).chunk(3, dim=-1))
        scores = q @ k.transpose(-2, -1) / math.sqrt(WIDTH // HEADS)
        behind = torch.ones(steps, steps, dtype=torch.bool).triu(1)
        weights = scores.masked_fill(behind, -math.inf).softmax(dim=-1)
        return self.proj((weights @ v).transpose(1, 2).reshape(rows, steps, WIDTH))


class TransformerBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.ln1 = nn.LayerNorm(WIDTH)
        self.attention = CausalSelfAttention()
        self.ln2 = nn.LayerNorm(WIDTH)
        self.fc = nn.Linear(WIDTH, 4 * WIDTH)
        self.out = nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x):
        x = x + self.attention(self.ln1(x))
        return x + self.out(F.gelu(self.fc(self.ln2(x)), approximate="tanh"))


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, WIDTH)
        self.positions = nn.Parameter(torch.zeros(CONTEXT, WIDTH))
        self.blocks = nn.ModuleList(TransformerBlock() for _ in range(LAYERS))
        self.norm = nn.LayerNorm(WIDTH)

    def forward(self, ids):
        x = self.tokens(ids) + self.positions[:ids.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.norm(x)


class Gpt(nn.Module):
    def __init__(self, tied_head):
        super().__init__()
        self.transformer = Transformer()
        self.head = nn.Linear(WIDTH, VOCABULARY, bias=False)
        if tied_head:
            self.head.weight = self.transformer.tokens.weight

    def forward(self, ids):
        return self.head(self.transformer(ids))


def train_gpt(model, tokens):
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda t: 0.25 * (1 + t) if t < 4 else 1.0)
    history = []
    for step in range(len(tokens)):
        optimizer.zero_grad()
        logits = model(tokens[step])[:, :-1]
        loss = F.cross_entropy(logits.flatten(0, 1), tokens[step][:, 1:].flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        history.append(loss.item())
    model.eval()
    with torch.no_grad():
        return history, model(tokens[0])


# DPO


def sequence_logps(logits, tokens, mask):
    logps = logits[:, :-1].log_softmax(dim=-1)
    of_tokens = logps.gather(2, tokens[:, 1:].unsqueeze(2)).squeeze(2)
    return (of_tokens * mask[:, 1:]).sum(dim=1)


def dpo_loss(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta, label_smoothing):
    x = beta * ((policy_chosen - policy_rejected) - (reference_chosen - reference_rejected))
    loss = -(1 - label_smoothing) * F.logsigmoid(x) - label_smoothing * F.logsigmoid(-x)
    return loss.mean()


def train_dpo(policy, chosen, rejected, mask):
    reference = copy.deepcopy(policy)
    optimizer = torch.optim.SGD(policy.parameters(), lr=0.05, momentum=0.9)
    history = []
    for step in range(len(chosen)):

        def logps(gpt, tokens):
            return sequence_logps(gpt(tokens), tokens, mask[step])

        with torch.no_grad():
            reference_chosen = logps(reference, chosen[step])
            reference_rejected = logps(reference, rejected[step])
        optimizer.zero_grad()
        loss = dpo_loss(logps(policy, chosen[step]), logps(policy, rejected[step]), reference_chosen,
                        reference_rejected, beta=0.5, label_smoothing=0.1)
        loss.backward()
        nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
        optimizer.step()
        history.append(loss.item())
    policy.eval()
    with torch.no_grad():
        return history, policy(chosen[0])
