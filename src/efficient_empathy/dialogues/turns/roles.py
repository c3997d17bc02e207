"""Who said a turn: the one table of role names that every format reads by, and what `--role` adds to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from efficient_empathy.dialogues.sample import Role
from efficient_empathy.dialogues.settings import RoleChoice


def names(text: str) -> frozenset[str]:
    """The names in a text, which stand between blanks."""
    return frozenset(text.split())


SPEAKERS = names(
    "speaker user human usr customer client seeker help_seeker prompter patient caller visitor consumer requester "
    "enduser end_user student learner "
    "utilisateur utilisatrice client cliente usuario usuaria usuário usuária utente benutzer benutzerin nutzer "
    "nutzerin kunde kundin patientin gebruiker użytkownik пользователь клиент "
    "用户 用戶 客户 客戶 顾客 ユーザー 사용자 고객 المستخدم"
)
LISTENERS = names(
    "listener assistant supporter agent model bot chatbot ai llm gpt gpt3 gpt4 gpt-3 gpt-3.5 gpt-4 gpt-4o chatgpt bing "
    "bard gemini claude llama mistral copilot grok deepseek qwen helper support operator representative advisor "
    "adviser counselor counsellor therapist psychologist doctor nurse tutor teacher "
    "assistante asistente assistente assistentin agente conseiller conseillère berater beraterin asystent ассистент "
    "оператор помощник 助手 客服 机器人 アシスタント 어시스턴트 상담사 المساعد"
)
SYSTEM = names("system developer system_prompt sys_prompt")
TOOLS = names(
    "tool tools tool_call tool_calls tool_use tool_response tool_responses tool_result tool_results tool_output "
    "tool_outputs function functions function_call function_response function_result function_output observation "
    "observations ipython environment code_interpreter"
)
REASONING = names("reasoning thinking thought thoughts scratchpad analysis")

TABLE: Mapping[str, str] = {
    **dict.fromkeys(SPEAKERS, "speaker"),
    **dict.fromkeys(LISTENERS, "listener"),
    **dict.fromkeys(SYSTEM, "system turns left out"),
    **dict.fromkeys(TOOLS, "tool turns left out"),
    **dict.fromkeys(REASONING, "reasoning turns left out"),
}
"""What each name stands for: `speaker`, `listener`, or what a turn that is none of the dialogue is counted as."""

_SEEN = 12


class RoleTable:
    """The table with the changes of `--role` on top. Names are told apart without case and the blanks around them.

    `unused` are the changes that have met no turn yet, `seen` the first names that turns had, kept where there are any.
    `labels` are the listeners' names that labelled turns inside a text, so that a reply may begin with one of them.
    """

    def __init__(self, changes: Mapping[str, RoleChoice]) -> None:
        self.changes = {_fold(name): _meaning(name, choice) for name, choice in changes.items()}
        self.unused = set(self.changes)
        self.seen: dict[str, None] = {}
        self.labels: set[str] = set()
        self._meanings: dict[str, str] = {**TABLE, **self.changes}

    def meaning(self, name: object, own: Mapping[str, Role | None] | None = None) -> str | None:
        """What `name` stands for, as in `TABLE`; None if that is not known.

        A format's `own` names go before the table, and `--role` before both.
        """
        if not self.changes and not own and isinstance(name, str) and (known := TABLE.get(name)) is not None:
            return known
        folded = _fold(name if isinstance(name, str) else str(name))
        if self.unused and len(self.seen) < _SEEN:
            self.seen.setdefault(folded)
        if folded in self.changes:
            self.unused.discard(folded)
        elif own and folded in own:
            return own[folded] or f"{folded} turns left out"
        return self._meanings.get(folded)

    def voices(self) -> Iterable[str]:
        """Every name that stands for something."""
        return self._meanings


def _fold(name: str) -> str:
    return name.strip().lower()


def _meaning(name: str, choice: RoleChoice) -> str:
    return f"{_fold(name)} turns left out" if choice == "drop" else choice
