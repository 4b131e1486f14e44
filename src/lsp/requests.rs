//! Every request by name.

use lsp_server::ErrorCode;
use lsp_types::request::{self as ask, Request as _};
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use super::server::{Answer, Refusal};
use super::session::Session;
use super::{actions, completion, formatting, hints, hover, lenses, navigate, outline, rename, signature};

/// The text of a document as it is known here, `null` when it is not open: for reports, and for tests.
const VIEW_TEXT: &str = "host/viewText";

impl Session {
    /// Every request that there is.
    pub fn request(&mut self, method: &str, params: Json) -> Answer {
        match method {
            ask::Completion::METHOD => self.on::<ask::Completion>(params, |session, params| {
                let at = params.text_document_position;
                completion::complete(&mut session.view(&at.text_document.uri)?, at.position)
            }),
            ask::HoverRequest::METHOD => self.on::<ask::HoverRequest>(params, |session, params| {
                let at = params.text_document_position_params;
                Ok(hover::hover(&mut session.view(&at.text_document.uri)?, at.position))
            }),
            ask::SignatureHelpRequest::METHOD => self.on::<ask::SignatureHelpRequest>(params, |session, params| {
                let at = params.text_document_position_params;
                Ok(signature::help(&mut session.view(&at.text_document.uri)?, at.position))
            }),
            ask::GotoDefinition::METHOD => self.on::<ask::GotoDefinition>(params, |session, params| {
                let at = params.text_document_position_params;
                Ok(navigate::definition(
                    &mut session.view(&at.text_document.uri)?,
                    at.position,
                ))
            }),
            ask::References::METHOD => self.on::<ask::References>(params, |session, params| {
                let at = params.text_document_position;
                let with_declaration = params.context.include_declaration;
                let mut view = session.view(&at.text_document.uri)?;
                Ok(Some(navigate::references(&mut view, at.position, with_declaration)))
            }),
            ask::DocumentHighlightRequest::METHOD => {
                self.on::<ask::DocumentHighlightRequest>(params, |session, params| {
                    let at = params.text_document_position_params;
                    Ok(Some(navigate::highlights(
                        &session.view(&at.text_document.uri)?,
                        at.position,
                    )))
                })
            }
            ask::PrepareRenameRequest::METHOD => self.on::<ask::PrepareRenameRequest>(params, |session, params| {
                rename::prepare(&mut session.view(&params.text_document.uri)?, params.position).map(Some)
            }),
            ask::Rename::METHOD => self.on::<ask::Rename>(params, |session, params| {
                let at = params.text_document_position;
                let mut view = session.view(&at.text_document.uri)?;
                rename::rename(&mut view, at.position, &params.new_name).map(Some)
            }),
            ask::DocumentSymbolRequest::METHOD => self.on::<ask::DocumentSymbolRequest>(params, |session, params| {
                let as_tree = session.client.symbol_trees;
                Ok(Some(outline::symbols(
                    &session.view(&params.text_document.uri)?.source,
                    as_tree,
                )))
            }),
            ask::WorkspaceSymbolRequest::METHOD => self.on::<ask::WorkspaceSymbolRequest>(params, |session, params| {
                let symbols = outline::across(session, &params.query);
                Ok(Some(lsp_types::WorkspaceSymbolResponse::Flat(symbols)))
            }),
            ask::FoldingRangeRequest::METHOD => self.on::<ask::FoldingRangeRequest>(params, |session, params| {
                Ok(Some(outline::folds(&session.view(&params.text_document.uri)?.source)))
            }),
            ask::Formatting::METHOD => self.on::<ask::Formatting>(params, |session, params| {
                formatting::whole(&session.view(&params.text_document.uri)?.source).map(Some)
            }),
            ask::RangeFormatting::METHOD => self.on::<ask::RangeFormatting>(params, |session, params| {
                formatting::part(&session.view(&params.text_document.uri)?.source, params.range).map(Some)
            }),
            ask::CodeActionRequest::METHOD => self.on::<ask::CodeActionRequest>(params, |session, params| {
                let mut view = session.view(&params.text_document.uri)?;
                Ok(Some(actions::actions(
                    &mut view,
                    params.range,
                    params.context.only.as_deref(),
                )))
            }),
            ask::CodeLensRequest::METHOD => self.on::<ask::CodeLensRequest>(params, |session, params| {
                Ok(Some(lenses::lenses(&session.view(&params.text_document.uri)?)))
            }),
            ask::InlayHintRequest::METHOD => self.on::<ask::InlayHintRequest>(params, |session, params| {
                Ok(Some(hints::hints(
                    &mut session.view(&params.text_document.uri)?,
                    params.range,
                )))
            }),
            VIEW_TEXT => {
                let params: lsp_types::TextDocumentIdentifier = read(params)?;
                let document = self.documents.get(&params.uri);
                Ok(document.map_or(Json::Null, |document| Json::from(document.text.as_str())))
            }
            unknown => Err(Refusal::new(
                ErrorCode::MethodNotFound,
                format!("there is no request {:?}", unknown.chars().take(80).collect::<String>()),
            )),
        }
    }

    fn on<R: ask::Request>(
        &mut self,
        params: Json,
        work: impl FnOnce(&mut Session, R::Params) -> Answer<R::Result>,
    ) -> Answer
    where
        R::Params: DeserializeOwned,
    {
        let params = read(params)?;
        written(work(self, params)?)
    }
}

pub(super) fn read<P: DeserializeOwned>(params: Json) -> Answer<P> {
    serde_json::from_value(params).map_err(|error| {
        Refusal::new(
            ErrorCode::InvalidParams,
            format!("the parameters are not as they should be: {error}"),
        )
    })
}

pub(super) fn written(answer: impl serde::Serialize) -> Answer {
    serde_json::to_value(answer).map_err(|error| Refusal::new(ErrorCode::InternalError, error.to_string()))
}
