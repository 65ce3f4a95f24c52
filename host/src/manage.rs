//! [`Host`]'s operations on the tokens that a handler keeps: list, get, invalidate, update.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use token_plugin_api::{
    ActorPage, Cutoff, DeleteTokens, DeletedTokens, Event, EventKind, ImportTokens, ImportedTokens, InactiveActor,
    InvalidateTokens, InvalidatedToken, InvalidatedTokens, ListActors, Migrate, Migrations, PluginError,
    RequestContext, SetActors, TokenFilter, TokenPage, TokenRecord, TokenSelector, UpdateToken,
};

use crate::{
    engine::Whence,
    error::{Error, ErrorKind},
    execute::block_on,
    host::Host,
    registry::HandlerSlot,
};

impl Host {
    /// One page of the tokens that a handler keeps; no name: the first in call order that keeps any.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] when the handler keeps none, and whatever it answers.
    pub async fn list_tokens(&self, handler: Option<&str>, filter: &TokenFilter) -> Result<TokenPage, Error> {
        Ok(self.manage(handler, "list_tokens", filter).await?.1)
    }

    /// What a handler knows of one token; no name: the first in call order that knows anything.
    ///
    /// # Errors
    ///
    /// As [`Host::list_tokens`].
    pub async fn get_token(&self, handler: Option<&str>, token: &TokenSelector) -> Result<Option<TokenRecord>, Error> {
        Ok(self.manage(handler, "get_token", token).await?.1)
    }

    /// Invalidates tokens and returns those that were valid before.
    ///
    /// # Errors
    ///
    /// As [`Host::list_tokens`].
    pub async fn invalidate_tokens(
        &self,
        handler: Option<&str>,
        request: &InvalidateTokens,
    ) -> Result<InvalidatedTokens, Error> {
        self.invalidate(handler, request, None).await
    }

    /// [`Host::invalidate_tokens`] with what is known of where the request came from, for handlers and events.
    ///
    /// # Errors
    ///
    /// As [`Host::list_tokens`].
    pub async fn invalidate_tokens_in(
        &self,
        handler: Option<&str>,
        request: &InvalidateTokens,
        context: &RequestContext,
    ) -> Result<InvalidatedTokens, Error> {
        self.invalidate(handler, request, Some(context)).await
    }

    async fn invalidate(
        &self,
        handler: Option<&str>,
        request: &InvalidateTokens,
        context: Option<&RequestContext>,
    ) -> Result<InvalidatedTokens, Error> {
        let (host, handler, request) = (self.clone(), handler.map(str::to_owned), request.clone());
        let context = context.cloned();
        self.finish(async move {
            let (by, invalidated): (String, InvalidatedTokens) =
                host.manage_in(handler.as_deref(), "invalidate_tokens", &request, context.as_ref()).await?;
            let event = |actor_id: Option<&String>| {
                let mut event = host.0.event(EventKind::TokenInvalidated, context.as_ref());
                event.handler = Some(by.clone());
                event.actor_id = actor_id.filter(|actor| !actor.is_empty()).cloned();
                event.reason = Some(request.reason.clone());
                event
            };
            let of_token = |token: &InvalidatedToken| {
                let mut event = event(Some(&token.actor_id));
                event.token_id = Some(token.id.clone());
                event
            };
            let of_cutoff = |cutoff: &Cutoff| {
                let mut event = event(cutoff.actor_id.as_ref());
                event.extra.insert("created_before".to_owned(), cutoff.created_before.into());
                event
            };
            let InvalidatedTokens { tokens, cutoffs, .. } = &invalidated;
            host.0.announce(|| tokens.iter().map(of_token).chain(cutoffs.iter().map(of_cutoff)).collect()).await?;
            Ok(invalidated)
        })
        .await
    }

    /// [`Host::invalidate_tokens`], for callers that are not async.
    ///
    /// # Errors
    ///
    /// As [`Host::list_tokens`].
    pub fn invalidate_tokens_blocking(
        &self,
        handler: Option<&str>,
        request: &InvalidateTokens,
    ) -> Result<InvalidatedTokens, Error> {
        block_on(self.invalidate_tokens(handler, request))
    }

    /// Changes a token and returns it as it is now.
    ///
    /// # Errors
    ///
    /// As [`Host::list_tokens`]; [`ErrorKind::NotFound`] when there is no such token.
    pub async fn update_token(&self, handler: Option<&str>, request: &UpdateToken) -> Result<TokenRecord, Error> {
        self.update(handler, request, None).await
    }

    /// [`Host::update_token`] with what is known of where the request came from, for handlers and events.
    ///
    /// # Errors
    ///
    /// As [`Host::update_token`].
    pub async fn update_token_in(
        &self,
        handler: Option<&str>,
        request: &UpdateToken,
        context: &RequestContext,
    ) -> Result<TokenRecord, Error> {
        self.update(handler, request, Some(context)).await
    }

    async fn update(
        &self,
        handler: Option<&str>,
        request: &UpdateToken,
        context: Option<&RequestContext>,
    ) -> Result<TokenRecord, Error> {
        let (host, handler, request) = (self.clone(), handler.map(str::to_owned), request.clone());
        let context = context.cloned();
        self.finish(async move {
            let (by, record): (String, TokenRecord) =
                host.manage_in(handler.as_deref(), "update_token", &request, context.as_ref()).await?;
            let mut event = host.0.event(EventKind::TokenUpdated, context.as_ref());
            event.handler = Some(by);
            event.actor_id = Some(record.actor_id.clone());
            event.token_id = Some(record.id.clone());
            host.0.announce(|| vec![event]).await?;
            Ok(record)
        })
        .await
    }

    /// Deletes tokens that ended before a time.
    ///
    /// # Errors
    ///
    /// As [`Host::list_tokens`].
    pub async fn delete_tokens(&self, handler: Option<&str>, request: &DeleteTokens) -> Result<DeletedTokens, Error> {
        let (host, handler, request) = (self.clone(), handler.map(str::to_owned), request.clone());
        self.finish(async move {
            let (by, deleted): (String, DeletedTokens) =
                host.manage(handler.as_deref(), "delete_tokens", &request).await?;
            if deleted.count > 0 && !request.dry_run {
                let about = json!({ "deleted": deleted.count, "ended_before": request.ended_before });
                host.tell(EventKind::TokenUpdated, by, None, [(None, None, about)]).await?;
            }
            Ok(deleted)
        })
        .await
    }

    /// Brings over a part of another system's tokens: to be asked again with what the answer calls `next`. The plugin's
    /// `manage_deadline` is for one part.
    ///
    /// # Errors
    ///
    /// As [`Host::list_tokens`].
    pub async fn import_tokens(&self, handler: Option<&str>, request: &ImportTokens) -> Result<ImportedTokens, Error> {
        let (host, handler, request) = (self.clone(), handler.map(str::to_owned), request.clone());
        self.finish(async move {
            let (by, imported): (String, ImportedTokens) =
                host.manage(handler.as_deref(), "import_tokens", &request).await?;
            if (imported.imported > 0 || imported.inactive_actors > 0) && !request.dry_run {
                let (tokens, actors) = (imported.imported, imported.inactive_actors);
                let about = json!({ "imported": tokens, "inactive_actors": actors, "system": request.system });
                host.tell(EventKind::TokenCreated, by, None, [(None, None, about)]).await?;
            }
            Ok(imported)
        })
        .await
    }

    /// Activates or deactivates actors, and returns those that this changed.
    ///
    /// # Errors
    ///
    /// As [`Host::list_tokens`].
    pub async fn set_actors(&self, handler: Option<&str>, request: &SetActors) -> Result<Vec<InactiveActor>, Error> {
        self.activate_or_not(handler, request, None).await
    }

    /// [`Host::set_actors`] with what is known of where the request came from, for handlers and events.
    ///
    /// # Errors
    ///
    /// As [`Host::list_tokens`].
    pub async fn set_actors_in(
        &self,
        handler: Option<&str>,
        request: &SetActors,
        context: &RequestContext,
    ) -> Result<Vec<InactiveActor>, Error> {
        self.activate_or_not(handler, request, Some(context)).await
    }

    async fn activate_or_not(
        &self,
        handler: Option<&str>,
        request: &SetActors,
        context: Option<&RequestContext>,
    ) -> Result<Vec<InactiveActor>, Error> {
        let (host, handler, request) = (self.clone(), handler.map(str::to_owned), request.clone());
        let context = context.cloned();
        self.finish(async move {
            let (by, changed): (String, Vec<InactiveActor>) =
                host.manage_in(handler.as_deref(), "set_actors", &request, context.as_ref()).await?;
            let about = |actor: &InactiveActor| {
                let reason = Some(request.reason.clone()).filter(|reason| !reason.is_empty());
                (Some(actor.actor_id.clone()), reason, json!({ "actor_active": request.active }))
            };
            host.tell(EventKind::TokenUpdated, by, context.as_ref(), changed.iter().map(about)).await?;
            Ok(changed)
        })
        .await
    }

    /// One page of the actors that are deactivated.
    ///
    /// # Errors
    ///
    /// As [`Host::list_tokens`].
    pub async fn list_inactive_actors(&self, handler: Option<&str>, request: &ListActors) -> Result<ActorPage, Error> {
        Ok(self.manage(handler, "list_inactive_actors", request).await?.1)
    }

    /// Brings a handler's store to the form that it needs, or says what that would change.
    ///
    /// # Errors
    ///
    /// As [`Host::list_tokens`].
    pub async fn migrate(&self, handler: Option<&str>, request: &Migrate) -> Result<Migrations, Error> {
        Ok(self.manage(handler, "migrate", request).await?.1)
    }

    /// Tells of what was done to tokens that are not named one by one: whose, why, and what.
    async fn tell(
        &self,
        kind: EventKind,
        by: String,
        context: Option<&RequestContext>,
        deeds: impl IntoIterator<Item = (Option<String>, Option<String>, Value)>,
    ) -> Result<(), Error> {
        let event = |(actor_id, reason, about): (_, _, Value)| {
            let mut event = self.0.event(kind, context);
            event.handler = Some(by.clone());
            (event.actor_id, event.reason) = (actor_id, reason);
            event.extra.extend(about.as_object().cloned().unwrap_or_default());
            event
        };
        let events: Vec<Event> = deeds.into_iter().map(event).collect();
        if events.is_empty() { Ok(()) } else { self.0.announce(|| events).await }
    }

    async fn manage<A: DeserializeOwned>(
        &self,
        handler: Option<&str>,
        operation: &'static str,
        request: &impl Serialize,
    ) -> Result<(String, A), Error> {
        self.manage_in(handler, operation, request, None).await
    }

    async fn manage_in<A: DeserializeOwned>(
        &self,
        handler: Option<&str>,
        operation: &'static str,
        request: &impl Serialize,
        context: Option<&RequestContext>,
    ) -> Result<(String, A), Error> {
        let registry = self.0.registry.load_full();
        let context = Whence::from(context).text()?;
        let request = serde_json::to_string(request)
            .map_err(|error| Error::new(ErrorKind::InvalidArgument, error.to_string()))?;
        let (mut missing, mut unsupported, mut ignorant) = (None, None, None);
        let read = |handler: &HandlerSlot, answer: &str| {
            // The text is not quoted: it may say more of tokens than belongs in a log.
            let unknown = |_| PluginError::failed("its answer is not of a form that this host knows");
            let answer = serde_json::from_str(answer).map_err(unknown);
            Ok((handler.name().to_owned(), answer.map_err(|error| handler.error(operation, error))?))
        };
        for handler in registry.chosen(handler)? {
            match handler.manage(operation, request.clone(), &context).answer().await {
                // Nothing is known of it there.
                Ok(answer) if answer == NOTHING => {
                    ignorant.get_or_insert(handler);
                }
                Ok(answer) => return read(handler, &answer),
                Err(error) => {
                    let error = handler.error(operation, error);
                    match error.kind() {
                        ErrorKind::Unsupported => {
                            unsupported.get_or_insert(error);
                        }
                        // The next one may know it.
                        ErrorKind::NotFound(_) => {
                            missing.get_or_insert(error);
                        }
                        _ => return Err(error),
                    }
                }
            }
        }
        match ignorant {
            Some(handler) => read(handler, NOTHING),
            None => Err(missing.or(unsupported).unwrap_or_else(Error::no_handlers)),
        }
    }
}

/// How "there is no such" is written.
const NOTHING: &str = "null";
